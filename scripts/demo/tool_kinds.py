"""The tools of the demo's conversations: how each is declared, asked for, and what it answers.

A kind makes Tools, whose names and parameters vary or are made up, so that a model has to copy them
from the declaration, and Asks: what a user wants of a tool, its call, a result, and the sentence
that reports it.
"""

import dataclasses
import json

from . import gems, held_out, names, outside, phrasing, question_frames, tool_phrases

ERRORS = ["error", "Error: not found", "error: no connection", "Error: the request took too long",
          '{"error": "not found"}', '{"error": "no data"}', '{"error": "bad request"}',
          '{"error": {"code": 404, "message": "not found"}}', '{"ok": false, "error": "failed"}',
          '{"status": "error", "message": "try again"}', "Error 500", '{"error": true}',
          "Error: unknown", '{"code": 500, "error": "server"}', "failed: error"]
ERROR_ANSWER = "Sorry, the tool gave an error."
ERROR_SHARE = 0.07
INVENTED_SHARE = 0.04  # names of functions and parameters that say nothing


@dataclasses.dataclass
class Tool:
    kind: object
    name: str
    keys: dict          # what a parameter means to the kind -> its name
    schema: dict        # as a client declares it
    topics: set         # words of questions that it might be called for
    about: object = None


@dataclasses.dataclass
class Ask:
    text: str           # lower case, values as placeholders of Slots
    name: str
    arguments: dict
    result: str
    answer: str
    thought: str
    number: str = ""    # the number in the result, for a calculation with it
    dressed: bool = False  # has its punctuation


class Slots:
    """Values of one question, kept out of what changes its case."""

    def __init__(self):
        self.values = []

    def put(self, value):
        self.values.append(str(value))
        return chr(0xE000 + len(self.values) - 1)

    def fill(self, text):
        for i, value in enumerate(self.values):
            text = text.replace(chr(0xE000 + i), value)
        return text


# --- declarations -------------------------------------------------------------------------------

def invented(rng):
    """A function or parameter name that says nothing."""
    word = names.made_up_name(rng).lower()
    return word if rng.random() < 0.7 else f"{word}_{names.made_up_name(rng).lower()}"


def pick_name(rng, options):
    """One of the names of a kind, spelled in one of several ways, or an invented one."""
    if rng.random() < INVENTED_SHARE:
        return invented(rng)
    name = rng.choice(options)
    pick = rng.random()
    if pick < 0.08:
        head, *rest = name.split("_")
        return head + "".join(part.capitalize() for part in rest)
    if pick < 0.12:
        return f"{name}_{rng.choice(['tool', 'api', 'v2', 'info', 'for_me', 'now'])}"
    if pick < 0.14:
        return f"{rng.choice(['my', 'the', 'api', 'gem', 'bot', 'do'])}_{name}"
    return name


def parameter(rng, kind, descriptions=(), **more):
    result = {"type": kind}
    if descriptions and rng.random() < 0.35:
        result["description"] = rng.choice(descriptions)
    return result | more


def declare(rng, name, descriptions, properties, optional=()):
    function = {"name": name}
    if descriptions:
        function["description"] = rng.choice(descriptions)
        if rng.random() < 0.2:
            function["description"] = function["description"].rstrip(".")
    if properties:
        keys = list(properties)
        rng.shuffle(keys)
        function["parameters"] = {"type": "object", "properties": {k: properties[k] for k in keys}}
        required = [k for k in keys if k not in optional]
        if required and rng.random() < 0.9:
            function["parameters"]["required"] = required
    return {"type": "function", "function": function}


def distinct(rng, *choices):
    """One name from each list, all different."""
    while True:
        result = [invented(rng) if rng.random() < INVENTED_SHARE else rng.choice(options)
                  for options in choices]
        if len(set(result)) == len(result):
            return result


def spare_parameter(rng, properties, optional):
    """Sometimes a parameter that nobody fills."""
    if rng.random() < 0.12:
        key = rng.choice(["limit", "verbose", "format", "language", "page"])
        if key not in properties:
            kind = {"limit": "integer", "page": "integer", "verbose": "boolean"}.get(key, "string")
            properties[key] = {"type": kind}
            optional.append(key)


def told(rng, data, plain):
    """A result as a tool returns it: JSON, compact or not, or plain text."""
    if not plain or rng.random() < 0.6:
        keys = list(data)
        rng.shuffle(keys)
        separators = (",", ":") if rng.random() < 0.2 else None
        return json.dumps({k: data[k] for k in keys}, separators=separators, ensure_ascii=False)
    return rng.choice(plain)


def or_error(rng, ask):
    if rng.random() < ERROR_SHARE:
        ask.result, ask.answer, ask.number = rng.choice(ERRORS), ERROR_ANSWER, ""
    return ask


# --- values -------------------------------------------------------------------------------------

def held_out_number(value):
    return value >= 10 and value % 7 == 3


def number(picker, high=None):
    """Training never draws the numbers that measure."""
    rng = picker.rng
    high = high or rng.choice([20, 100, 100, 100, 1000, 10000])
    while True:
        value = rng.randint(10 if picker.measuring else 0, high)
        if held_out_number(value) == picker.measuring:
            return value


def city(picker):
    rng = picker.rng
    if picker.measuring:
        name = rng.choice(tool_phrases.NEW_CITIES)
    else:
        pick = rng.random()
        name = (rng.choice(tool_phrases.CITIES) if pick < 0.4 else
                names.spliced_name(rng, tool_phrases.CITIES) if pick < 0.8 else
                names.made_up_name(rng))
    return name.lower() if rng.random() < 0.12 else name


def stone(picker):
    """A stone that the model knows, or one that it does not."""
    rng = picker.rng
    if picker.measuring:
        if rng.random() < 0.3:
            return rng.choice(gems.GEMS)
        name = rng.choice(tool_phrases.NEW_STONES)
    elif rng.random() < 0.25:
        return rng.choice(gems.GEMS)
    elif rng.random() < 0.3:
        name = rng.choice(tool_phrases.STONES)
    elif rng.random() < 0.7:
        name = names.spliced_name(rng, tool_phrases.STONES + [g.name for g in gems.GEMS])
    else:
        name = names.made_up_name(rng).lower() + rng.choice(["", "ite", "ite", "ine"])
    return gems.Gem(name, "", "", "", "", "", "", "", "")


# --- kinds --------------------------------------------------------------------------------------

class Weather:
    NAMES = """get_weather weather current_weather get_current_weather weather_in fetch_weather
        check_weather weather_lookup get_forecast forecast city_weather weather_report
        read_weather temperature get_temperature""".split()
    PLACES = "city city location place town city_name where name".split()
    SAID = ["Get the weather of a city.", "Get the current weather.", "The weather in a city.",
            "Returns the weather of a place.", "Get the weather.", "Weather of a town.",
            "Get current weather for a location.", "Get the current weather in a given location",
            "Tells how the weather is.", "Get current temperature for a given location.",
            "The weather forecast of a place.", "Looks up the weather.", "Current weather."]
    PLACE_SAID = ["The city.", "City name", "City", "Name of the city", "A town",
                  "The name of the place", "City and country e.g. Paris, France",
                  "The city and state, e.g. San Francisco, CA", "Where"]
    UNITS = [["celsius", "fahrenheit"], ["c", "f"], ["metric", "imperial"],
             ["Celsius", "Fahrenheit"]]
    CONDITIONS = ["sunny", "cloudy", "rainy", "windy", "foggy", "snowy", "clear", "stormy", "warm",
                  "cold", "hot", "dry", "wet", "overcast", "light rain", "heavy rain"]
    topics = set("weather rain warm cold temperature sunny today tomorrow".split())
    extra = ("humidity", "wind", "pressure")
    thought = "The user asks about the weather. I call a tool."

    def declare(self, picker):
        rng = picker.rng
        place, unit = distinct(rng, self.PLACES, ["unit", "units", "scale", "degrees"])
        properties = {place: parameter(rng, "string", self.PLACE_SAID)}
        optional, units = [], None
        if rng.random() < 0.25:
            units = rng.choice(self.UNITS)
            properties[unit] = parameter(rng, "string", ["The unit.", "Unit of the temperature"],
                                         enum=units)
            if rng.random() < 0.7:
                optional.append(unit)
        spare_parameter(rng, properties, optional)
        name = pick_name(rng, self.NAMES)
        schema = declare(rng, name, self.SAID, properties, optional)
        keys = {"place": place, "unit": unit if units else None, "always": unit not in optional}
        return Tool(self, name, keys, schema, self.topics, units)

    def ask(self, tool, picker, slots):
        rng, place = picker.rng, city(picker)
        frame = picker.main(tool_phrases.WEATHER)
        if not frame:
            return None
        text = frame.format(x=slots.put(place))
        return self.about(tool, rng, text, place)

    def about(self, tool, rng, text, place):
        arguments = {tool.keys["place"]: place}
        if tool.about:
            which = rng.randrange(2)
            if rng.random() < 0.4:
                text += f" in {['celsius', 'fahrenheit'][which]}"
                arguments[tool.keys["unit"]] = tool.about[which]
            elif tool.keys["always"]:
                arguments[tool.keys["unit"]] = tool.about[0]
        result, answer, degrees = self.report(rng, place)
        return or_error(rng, Ask(text, tool.name, arguments, result, answer, self.thought,
                                 degrees))

    def report(self, rng, place):
        """What the tool returns, the sentence about it, and the temperature."""
        degrees, sky = rng.randint(-12, 38), rng.choice(self.CONDITIONS)
        if rng.random() < 0.15:
            data = {rng.choice(["condition", "weather", "sky"]): sky}
            return told(rng, data, [sky, sky]), f"In {place} it is {sky}.", ""
        key = rng.choice(["temperature", "temperature", "temp", "degrees", "temp_c", "celsius"])
        if rng.random() < 0.25:
            data, answer = {key: degrees}, f"In {place} it is {degrees} degrees."
            plain = [f"{degrees} degrees", f"{degrees}", f"{degrees}°C", f"{degrees} C"]
        else:
            data = {key: degrees, rng.choice(["condition", "weather", "sky", "conditions"]): sky}
            answer = f"In {place} it is {sky} at {degrees} degrees."
            plain = [f"{sky}, {degrees} degrees", f"{sky} and {degrees} degrees",
                     f"{degrees} degrees, {sky}", f"It is {sky} with {degrees} degrees.",
                     f"{degrees}°C, {sky}", f"{sky}, {degrees}°C", f"{sky}, {degrees} C"]
        if rng.random() < 0.2:
            data[rng.choice(["city", "location", "place"])] = place
        if rng.random() < 0.2:
            data[rng.choice(self.extra)] = rng.randint(0, 99)
        return told(rng, data, plain), answer, str(degrees)

    def quantity(self, tool, picker, slots):
        """A number that it knows, as part of a sentence."""
        place = city(picker)
        text = picker.rng.choice(["the temperature in {x}", "the temperature of {x}"])
        ask = self.about(tool, picker.rng, text.format(x=slots.put(place)), place)
        while not ask.number:
            ask.result, ask.answer, ask.number = self.report(picker.rng, place)
        return ask


def decimal(value):
    """3.50 -> 3.5, 4.0 -> 4."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


OPERATIONS = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
              "/": lambda a, b: a / b}


def calculation(picker, inner):
    """A way of asking for it; without tools some whole sentences are held out, so are they here."""
    frame = picker.main(tool_phrases.CALCULATE)
    text = frame and frame.format(e=inner)
    return None if not picker.measuring and held_out.held_out(text) else text


def calculated(rng, expression, value):
    plain = [value, value, f"= {value}", f"{expression} = {value}"]
    spoken = json.loads(value)
    return told(rng, {rng.choice(["result", "result", "value", "answer"]): spoken}, plain)


class Calculator:
    NAMES = """calculate calculator calc compute evaluate do_math math eval_expression
        run_calculation arithmetic solve calculate_expression""".split()
    KEYS = "expression expression expr formula input query term calculation text".split()
    SAID = ["Calculates an expression.", "Evaluate a mathematical expression.", "A calculator.",
            "Does arithmetic.", "Compute the value of a formula.", "Calculate.",
            "Evaluates arithmetic expressions.", "Works out a calculation.", "Does calculations.",
            "Use this for calculations.", "Calculates the result of a term."]
    KEY_SAID = ["The expression.", "What to calculate", "For example 2 + 3", "A formula",
                "The calculation, e.g. 4 * 5"]
    topics = set("sum root equation calculate plus minus times number add".split())
    thought = "The user wants a calculation. I call a tool."

    def declare(self, picker):
        rng = picker.rng
        key, = distinct(rng, self.KEYS)
        properties, optional = {key: parameter(rng, "string", self.KEY_SAID)}, []
        spare_parameter(rng, properties, optional)
        name = pick_name(rng, self.NAMES)
        return Tool(self, name, {"expression": key},
                    declare(rng, name, self.SAID, properties, optional), self.topics)

    def ask(self, tool, picker, slots):
        if picker.rng.random() < 0.2:
            orders = dict(tool_phrases.CALCULATE_ORDERS)
            frame = picker.main(list(orders))
            operator = frame and orders[frame]
        else:
            inner, operator = picker.rng.choice(tool_phrases.CALCULATIONS)
            frame = calculation(picker, inner)
        if not frame:
            return None
        a, b = self.operands(picker, operator)
        a_said, b_said = slots.put(a), slots.put(b)
        text = frame.format(a=a_said, b=b_said, x=a_said, y=b_said)
        return self.about(tool, picker.rng, text, a, operator, b)

    def operands(self, picker, operator):
        """Two numbers as users write them; quotients come out even."""
        rng = picker.rng
        a, b = number(picker), number(picker)
        if operator == "/":
            b = max(1, number(picker, 30))
            a = b * rng.randint(2, 40)
        elif operator == "*":
            b = number(picker, 40)
        elif rng.random() < 0.1:
            a = decimal(a + rng.randint(1, 9) / 10)
        return str(a), str(b)

    def about(self, tool, rng, text, a, operator, b):
        expression = f"{a} {operator} {b}"
        value = decimal(OPERATIONS[operator](float(a), float(b)))
        return or_error(rng, Ask(text, tool.name, {tool.keys["expression"]: expression},
                                 calculated(rng, expression, value), f"{expression} = {value}.",
                                 self.thought, value))


class Operation:
    """A tool for one operation, with the two numbers as parameters."""

    NAMES = {"+": "add add_numbers sum plus addition", "-": "subtract minus difference",
             "*": "multiply multiply_numbers product times", "/": "divide quotient division"}
    SAID = {"+": ["Adds two numbers.", "The sum of two numbers.", "Add numbers."],
            "-": ["Subtracts two numbers.", "The difference of two numbers."],
            "*": ["Multiplies two numbers.", "The product of two numbers.", "Multiply numbers."],
            "/": ["Divides two numbers.", "Divide a number by another."]}
    PAIRS = [("a", "b"), ("a", "b"), ("x", "y"), ("first", "second"), ("left", "right"),
             ("number1", "number2"), ("n", "m")]
    topics = Calculator.topics

    def declare(self, picker):
        rng = picker.rng
        operator = rng.choice("++-**/")
        a, b = rng.choice(self.PAIRS) if rng.random() < 0.85 else distinct(rng, ["i"], ["j"])
        kind = rng.choice(["number", "number", "integer"])
        name = pick_name(rng, self.NAMES[operator].split())
        schema = declare(rng, name, self.SAID[operator],
                         {a: parameter(rng, kind), b: parameter(rng, kind)})
        return Tool(self, name, {"a": a, "b": b}, schema, self.topics, operator)

    def ask(self, tool, picker, slots):
        operator = tool.about
        if picker.rng.random() < 0.4:
            frames = [f for f, o in tool_phrases.CALCULATE_ORDERS if o == operator]
            frame = picker.main(frames)
        else:
            inner = [f for f, o in tool_phrases.CALCULATIONS if o == operator]
            frame = calculation(picker, picker.rng.choice(inner))
        if not frame:
            return None
        a, b = Calculator().operands(picker, operator)
        a = a.split(".")[0]
        value = decimal(OPERATIONS[operator](int(a), int(b)))
        arguments = {tool.keys["a"]: int(a), tool.keys["b"]: int(b)}
        expression = f"{a} {operator} {b}"
        a_said, b_said = slots.put(a), slots.put(b)
        return or_error(picker.rng, Ask(
            frame.format(a=a_said, b=b_said, x=a_said, y=b_said), tool.name, arguments,
            calculated(picker.rng, expression, value), f"{expression} = {value}.",
            Calculator.thought, value))


class Lookup:
    NAMES = """lookup lookup_stone stone_lookup get_stone stone_info gem_info get_gem find_stone
        stone gem_database search_stone describe_stone mineral_data gem_facts""".split()
    KEYS = "stone stone name gem gemstone mineral query".split()
    SAID = ["Looks up a stone.", "Get the facts about a gemstone.", "Data of a stone.",
            "Look up a gemstone in the database.", "Finds a mineral.", "Facts about stones.",
            "Tells what is known of a stone.", "Search the gem database.", "Look up a stone.",
            "Returns colour, hardness and origin of a gem."]
    KEY_SAID = ["The stone.", "Name of the stone", "The gem's name", "Which stone", "A gemstone"]
    FIELDS = {"hardness": ["hardness", "hardness", "mohs", "mohs_hardness"],
              "colour": ["colour", "color"], "system": ["crystal_system", "system"],
              "place": ["origin", "found_in", "place"], "matter": ["made_of", "composition"]}
    SENTENCES = {"hardness": "has a hardness of {v}", "colour": "is {v}",
                 "system": "has the crystal system {v}", "place": "is found in {v}",
                 "matter": "is made of {v}"}
    topics = set("stone gem gemstone mineral ruby diamond jewel".split())
    thought = "The user asks about a stone. I call a tool."

    def declare(self, picker):
        rng = picker.rng
        key, = distinct(rng, self.KEYS)
        properties, optional = {key: parameter(rng, "string", self.KEY_SAID)}, []
        spare_parameter(rng, properties, optional)
        name = pick_name(rng, self.NAMES)
        return Tool(self, name, {"stone": key},
                    declare(rng, name, self.SAID, properties, optional), self.topics)

    def ask(self, tool, picker, slots, clause=False):
        rng, gem = picker.rng, stone(picker)
        attribute = rng.choice(list(self.FIELDS))
        if clause:
            frame = picker.main(question_frames.QUESTIONS[attribute])
            text = frame and phrasing.fill(frame, phrasing.stone_words(gem, rng))
        else:
            text = phrasing.ask_fact(gem, attribute, picker)
        return text and self.about(tool, rng, text, gem.name, attribute, not clause)

    def about(self, tool, rng, text, name, attribute, dressed=False):
        values = {key: self.value(rng, key) for key in self.FIELDS}
        keys = [attribute] + rng.sample([k for k in values if k != attribute],
                                        rng.choice([0, 0, 1, 2]))
        data = {rng.choice(self.FIELDS[k]): json.loads(values[k]) if k == "hardness" else values[k]
                for k in keys}
        sentence = self.SENTENCES[attribute].format(v=values[attribute])
        plain = [values[attribute], f"{name} {sentence}", f"It {sentence}.",
                 ", ".join(f"{k}: {values[k]}" for k in keys)]
        if rng.random() < 0.2:
            data[rng.choice(["name", "stone"])] = name
        return or_error(rng, Ask(text, tool.name, {tool.keys["stone"]: name},
                                 told(rng, data, plain), f"The tool says that {name} {sentence}.",
                                 self.thought, values["hardness"], dressed))

    def value(self, rng, key):
        gem = rng.choice(gems.GEMS)
        if key == "hardness":
            return decimal(rng.randint(2, 20) / 2)
        if key == "place" and rng.random() < 0.5:
            return rng.choice(outside.COUNTRIES)
        return getattr(gem, key)

    def quantity(self, tool, picker, slots):
        gem = stone(picker)
        while gem.plural and gem.name not in gems.BY_NAME:
            gem = stone(picker)
        text = picker.rng.choice(["the hardness of {x}", "the mohs hardness of {x}"])
        ask = self.about(tool, picker.rng, text.format(x=slots.put(gem.name)), gem.name,
                         "hardness")
        ask.number = "" if ask.answer == ERROR_ANSWER else ask.number
        return ask
