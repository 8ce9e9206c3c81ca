"""The relay: the event log in position order onto Kafka, by one leader, with the topic's own tail as checkpoint.

Every run emits each partition's events in position order, starting at or before the last durable one. So a crash, a
restart and even two relays at once can only *repeat* events; no event is first seen out of order, and a consumer that
drops `position <= last_position` of its partition is exact. No Kafka transactions are needed.
"""
