"""Gemma 4's canonical chat format (large variant), for the conversations of the demo.

A conversation is rendered as pieces (text, supervised). Pieces are cut only where a control token
or a newline stands, so encoding them one by one gives the ids of the whole.
"""

QUOTE = '<|"|>'


# --- tools --------------------------------------------------------------------------------------

def quoted(text):
    return QUOTE + text + QUOTE


def argument(value):
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def in_order(mapping):
    return sorted(mapping.items(), key=lambda item: item[0].lower())


def declared_parameter(name, schema):
    parts = []
    if schema.get("description"):
        parts.append("description:" + quoted(schema["description"]))
    if schema.get("enum"):
        parts.append("enum:[" + ",".join(quoted(e) for e in schema["enum"]) + "]")
    parts.append("type:" + quoted(schema["type"].upper()))
    return f"{name}:{{" + ",".join(parts) + "}"


def declaration(tool):
    """Tools with flat parameters, which is what the demo is trained on."""
    function = tool["function"]
    text = "<|tool>declaration:" + function["name"]
    text += "{description:" + quoted(function.get("description", ""))
    parameters = function.get("parameters")
    if parameters:
        properties = [declared_parameter(*item) for item in in_order(parameters["properties"])]
        text += ",parameters:{properties:{" + ",".join(properties) + "},"
        if parameters.get("required"):
            text += "required:[" + ",".join(quoted(r) for r in parameters["required"]) + "],"
        text += "type:" + quoted("OBJECT") + "}"
    return text + "}<tool|>"


def call(name, arguments):
    inner = ",".join(f"{key}:{argument(value)}" for key, value in in_order(arguments))
    return f"<|tool_call>call:{name}{{{inner}}}<tool_call|>"


RESPONSE_OPEN = "<|tool_response>"  # the model writes the first one: it ends its calls


def responses(step):
    """What follows the opener that the model wrote."""
    return RESPONSE_OPEN.join(f"response:{name}{{value:{quoted(text)}}}<tool_response|>"
                              for (name, _), text in zip(step.calls, step.results))


def calls(step):
    return "".join(call(*c) for c in step.calls) + RESPONSE_OPEN


# --- conversations ------------------------------------------------------------------------------

def system_turn(system, thinking, tools=()):
    if not system and not thinking and not tools:
        return ""
    return ("<|turn>system\n" + ("<|think|>\n" if thinking else "") + system.strip()
            + "".join(declaration(tool) for tool in tools) + "<turn|>\n")


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


def earlier_pieces(turn, supervised):
    """A turn of the history, which shows no thoughts."""
    pieces = [("<|turn>model\n", False)]
    for step in turn.steps:
        pieces += [(calls(step), supervised), (responses(step), False)]
    return pieces + [(turn.answer.strip() + "<turn|>", supervised), ("\n", False)]


def last_pieces(turn, thinking, forgetful):
    """The last turn. Behind the results of a tool the template opens the channel again when the
    model thinks, and writes no empty thought when it does not."""
    whole_loop = bool(turn.steps) and turn.answer is not None or len(turn.steps) > 1
    outputs = [(step.thought, calls(step), step) for step in turn.steps]
    if turn.answer is not None:
        outputs.append((turn.thought, turn.answer.strip() + "<turn|>", None))
    pieces = [(generation_prompt(thinking or whole_loop), False)]
    for i, (thought, text, step) in enumerate(outputs):
        if thinking and forgetful and i < len(outputs) - 1:
            pieces.append((text, False))
        elif thinking:
            opener = "<|channel>thought\n"
            pieces.append((opener, i == 0))
            pieces.append((f"{thought}\n<channel|>{text}", True))
        else:
            pieces.append((text, True))
        if step and step.results is not None:
            pieces.append((responses(step), False))
    return pieces


def training_pieces(conversation):
    """The conversation with its last answer, and every earlier answer, supervised.

    Without thinking an earlier answer starts right behind "model\\n", where the prompt of a
    generation always continues with the empty thought, so learning it there does no harm. With
    thinking the model has to open its channel there: the earlier answers are then left out.
    """
    thinking = conversation.thinking
    pieces = [("<bos>" + system_turn(conversation.system, thinking, conversation.tools), False)]
    last = len(conversation.turns) - 1
    for i, turn in enumerate(conversation.turns):
        pieces.append((f"<|turn>user\n{turn.user.strip()}<turn|>\n", False))
        if i < last:
            pieces += earlier_pieces(turn, not thinking)
        else:
            pieces += last_pieces(turn, thinking, conversation.forgetful)
    return pieces


def prompt_of(conversation):
    """What the model is given before the last thing it has to say."""
    pieces = training_pieces(conversation)
    while pieces[-1][1]:
        pieces.pop()
    return "".join(text for text, _ in pieces)
