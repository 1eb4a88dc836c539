"""Publishes COUNT messages, some of them one by one, or what is no message where COUNT is 0."""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "clients/python/src"))
from consumer_group import Group, GroupError

group, count = Group(os.environ["GROUP"]), int(os.environ["COUNT"])
if count == 0:
    try:
        group.publish({"text": "no id"})
    except GroupError as error:
        sys.exit(f"refused: {error}")
messages = [{"message_id": str(number), "text": "größer"} for number in range(count)]
alone = [group.publish(message) for message in messages[:3]]
rest = group.publish(messages)
print(f"created {sum(it.created for it in alone)} and {rest.created}, {rest.duplicate} twice")
