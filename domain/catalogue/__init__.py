"""The catalogue of events and states, made from the code: schemas, examples and pages."""

from domain.catalogue.examples import example_events
from domain.catalogue.pages import events_markdown, states_markdown
from domain.catalogue.schemas import json_schemas, older_json_schemas

__all__ = ["events_markdown", "example_events", "json_schemas", "older_json_schemas", "states_markdown"]
