"""Pages for people with a browser: where to begin, and what each error means. Other clients get the same as JSON."""
