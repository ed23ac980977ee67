"""Gemma 4's canonical chat format (large variant), for the plain text conversations of the demo.

A conversation is rendered as pieces (text, supervised). Pieces are cut only where a control token
or a newline stands, so encoding them one by one gives the ids of the whole.
"""


def system_turn(system, thinking):
    if not system and not thinking:
        return ""
    return "<|turn>system\n" + ("<|think|>\n" if thinking else "") + system.strip() + "<turn|>\n"


def generation_prompt(thinking):
    return "<|turn>model\n" + ("" if thinking else "<|channel>thought\n<channel|>")


def render_messages(messages, thinking=False):
    """The prompt of a list of {"role", "content"} messages, ready for the model's answer."""
    first_is_system = messages[0]["role"] == "system"
    text = "<bos>" + system_turn(messages[0]["content"] if first_is_system else "", thinking)
    for message in messages[first_is_system:]:
        role = "model" if message["role"] == "assistant" else message["role"]
        text += f"<|turn>{role}\n{message['content'].strip()}<turn|>\n"
    return text + generation_prompt(thinking)


def training_pieces(conversation):
    """The conversation with its last answer, and every earlier answer, supervised.

    Without thinking an earlier answer starts right behind "model\\n", where the prompt of a
    generation always continues with the empty thought, so learning it there does no harm. With
    thinking the model has to open its channel there: the earlier answers are then left out.
    """
    thinking = conversation.thinking
    pieces = [("<bos>" + system_turn(conversation.system, thinking), False)]
    last = len(conversation.turns) - 1
    for i, turn in enumerate(conversation.turns):
        pieces.append((f"<|turn>user\n{turn.user.strip()}<turn|>\n", False))
        if i < last:
            pieces.append(("<|turn>model\n", False))
            pieces.append((turn.answer.strip() + "<turn|>", not thinking))
            pieces.append(("\n", False))
        elif thinking:
            pieces.append((generation_prompt(True), False))
            pieces.append((f"<|channel>thought\n{turn.thought}\n<channel|>{turn.answer}<turn|>",
                           True))
        else:
            pieces.append((generation_prompt(False), False))
            pieces.append((turn.answer.strip() + "<turn|>", True))
    return pieces
