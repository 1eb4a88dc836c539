"""Publish to a consumer group on Redis Pub/Sub, and work for it.

A handler takes a message and returns the fields of its entry, or None. It raises `Reject` for a message that
is at fault, and `RetryLater` for one that must wait; whatever else it raises sends the message to another
worker. It is a function, which runs in threads, or a coroutine function.
"""
from ._calls import GroupError
from ._group import Group, Published, serve, serve_async
from ._outcome import Entry, Handler, Message, Reject, RetryLater

__all__ = ["Entry", "Group", "GroupError", "Handler", "Message", "Published", "Reject", "RetryLater", "serve",
           "serve_async"]
