"""The mixture of skills that the demo model learns, and the lists that measure them.

A skill takes a Picker and gives a Conversation, or None when it measures and drew nothing held
out. A new skill (images, audio) is one more function and one more row of MIXTURE.
"""

from . import conversations, phrasing, tool_talk
from .conversations import single

# Shares of the conversations; those with tools are longer, most of all tokens.
MIXTURE = {
    "facts": (single(conversations.fact_turn), 42),
    "greetings": (single(conversations.greeting_turn), 16),
    "general": (single(conversations.general_turn), 5),
    "outside": (single(conversations.outside_turn), 9),
    "arithmetic": (single(conversations.sum_turn), 11),
    "follow-up": (conversations.follow_up, 7), "memory": (conversations.remembering, 15),
    "repeating": (conversations.repeating, 4), "system": (conversations.obeying, 8),
    "tool calls": (tool_talk.calling, 17), "parallel calls": (tool_talk.calling_twice, 12),
    "tool results": (tool_talk.reporting, 10), "tool loops": (tool_talk.looping, 5),
    "no tool": (tool_talk.needing_none, 13)}


def sample(rng):
    """A fresh training conversation."""
    names = list(MIXTURE)
    picker = phrasing.Picker(rng)
    name = rng.choices(names, [MIXTURE[n][1] for n in names])[0]
    conversation = MIXTURE[name][0](picker)
    if conversation is None:
        raise ValueError(f"the skill {name} has no frame to train on")
    return conversation


def measure(rng, skill, count):
    """`count` different conversations of a skill whose last question is a held-out phrasing."""
    picker = phrasing.Picker(rng, measuring=True)
    found = {}
    while len(found) < count:
        conversation = MIXTURE[skill][0](picker)
        if conversation:
            conversation.thinking = False
            found.setdefault(conversation.turns[-1].user.lower(), conversation)
    return list(found.values())
