#!/usr/bin/env python3
"""Random schemas of realistic shapes; answers drawn from their masks alone must parse and validate.

Usage: check_grammars.py GRAMMAR_BENCH TOKENIZER [COUNT] [SEED] [walk|walk_ahead]

Prints what did not hold, then one line of counts. Exit status 1 when an answer does not parse or
validate, 77 without the Python package jsonschema.
"""

import json
import random
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: the Python package jsonschema is not installed (scripts/setup --tests)")
    sys.exit(77)

WORDS = ("name id city unit when tags total items email note status kind parent price count "
         "first_name last-name größe 名前 with\"quote path\\x zip code").split()
PATTERNS = ["^[A-Z]{2}-[0-9]{4}$", "^[a-z_]+$", "[0-9]{3}", "^(yes|no|maybe)$", "^#[0-9a-f]{6}$",
            "^.{2,8}$", "^\\S+@\\S+$", "^[^/]*/[^/]*$", "\\.(txt|md)$"]
FORMATS = ["date", "time", "date-time", "uuid", "email", "ipv4", "ipv6", "uri"]


class Maker:
    """One random schema."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = []

    def chance(self, part):
        return self.random.random() < part

    def schema(self, depth=0):
        kinds = [self.string, self.string, self.integer, self.number, self.boolean, self.enum,
                 self.constant]
        if depth < 3:
            kinds += [self.object, self.object, self.array, self.any_of, self.one_of, self.all_of,
                      self.map, self.tuple, self.several]
        if self.names and depth > 0:
            kinds += [self.reference]
        made = self.random.choice(kinds)(depth)
        if self.chance(0.2):
            made["description"] = "what it is"
        return made

    def string(self, _):
        made = {"type": "string"}
        choice = self.random.random()
        if choice < 0.15:
            made["pattern"] = self.random.choice(PATTERNS)
        elif choice < 0.3:
            made["format"] = self.random.choice(FORMATS)
        elif choice < 0.5:
            made["minLength"] = self.random.randint(0, 5)
            made["maxLength"] = made["minLength"] + self.random.choice([0, 1, 10, 100])
        return made

    def bounds(self, made, values):
        low, high = sorted(values)
        if self.chance(0.5):
            made[self.random.choice(["minimum", "exclusiveMinimum"])] = low
        if self.chance(0.5):
            made[self.random.choice(["maximum", "exclusiveMaximum"])] = high
        return made

    def integer(self, _):
        scale = 10 ** self.random.randint(1, 6)
        made = self.bounds({"type": "integer"}, [self.random.randint(-scale, scale) for _ in "ab"])
        if self.chance(0.15):
            made["multipleOf"] = self.random.choice([2, 5, 10, 25, 100])
        return made

    def number(self, _):
        scale = 10 ** self.random.randint(0, 4)
        digits = self.random.randint(0, 3)
        return self.bounds({"type": "number"},
                           [round(self.random.uniform(-scale, scale), digits) for _ in "ab"])

    def boolean(self, _):
        return {"type": self.random.choice(["boolean", "null"])}

    def value(self, depth=0):
        choices = [None, True, False, self.random.randint(-99, 99), 1.5, -0.25, "text", "a\"b\\c\n",
                   "ünï", ""]
        if depth < 2:
            choices += [[self.value(depth + 1)], {"k": self.value(depth + 1), "l": 1}]
        return self.random.choice(choices)

    def enum(self, _):
        if self.chance(0.6):
            return {"type": "string", "enum": self.random.sample(WORDS, self.random.randint(1, 6))}
        return {"enum": [self.value() for _ in range(self.random.randint(1, 4))]}

    def constant(self, _):
        return {"const": self.value()}

    def object(self, depth):
        names = self.random.sample(WORDS, self.random.randint(0, 6))
        made = {"type": "object", "properties": {n: self.schema(depth + 1) for n in names}}
        if names and self.chance(0.8):
            made["required"] = self.random.sample(names, self.random.randint(0, len(names)))
        if self.chance(0.4):
            made["additionalProperties"] = False
        elif self.chance(0.2):
            made["additionalProperties"] = self.random.choice([True, {"type": "integer"}])
        if self.chance(0.1):
            made["maxProperties"] = self.random.randint(len(made.get("required", [])), 7)
        if self.chance(0.1):
            made["minProperties"] = self.random.randint(0, len(names))
        return made

    def map(self, depth):
        if self.chance(0.5):
            return {"type": "object", "additionalProperties": self.schema(depth + 1)}
        return {"type": "object", "patternProperties": {"^x_": self.schema(depth + 1),
                                                        "^[a-c]+$": self.schema(depth + 1)},
                "additionalProperties": False}

    def array(self, depth):
        made = {"type": "array", "items": self.schema(depth + 1)}
        if self.chance(0.4):
            made["minItems"] = self.random.randint(0, 3)
        if self.chance(0.4):
            made["maxItems"] = made.get("minItems", 0) + self.random.randint(0, 4)
        return made

    def tuple(self, depth):
        return {"type": "array", "prefixItems": [self.schema(depth + 1) for _ in "ab"],
                "items": self.random.choice([False, {"type": "integer"}]),
                "minItems": self.random.randint(0, 2)}

    def several(self, _):
        return {"type": self.random.sample(["string", "integer", "null", "boolean", "number"], 2)}

    def any_of(self, depth):
        return {"anyOf": [self.schema(depth + 1) for _ in range(self.random.randint(1, 3))]}

    def one_of(self, depth):
        if self.chance(0.3):
            return {"oneOf": [self.schema(depth + 1) for _ in "ab"]}
        return {"oneOf": [{"type": "object", "properties": {"kind": {"const": k},
                                                            "of": self.schema(depth + 1)},
                           "required": ["kind", "of"]} for k in ("a", "b", "c")]}

    def all_of(self, depth):
        one = self.object(depth + 1)
        if self.chance(0.5):
            one.pop("additionalProperties", None)
        return {"allOf": [one, {"properties": {"extra": {"type": "integer"}}}]}

    def reference(self, _):
        return {"$ref": "#/$defs/" + self.random.choice(self.names)}

    def root(self):
        if self.chance(0.3):
            self.names = ["node", "leaf"]
        made = self.object(0) if self.chance(0.8) else self.schema(0)
        if self.names:
            made["$defs"] = {
                "leaf": self.schema(2),
                "node": {"type": "object", "properties": {
                    "value": self.schema(2),
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                    "required": ["value"]}}
        return made


# JSON Schema's patterns are ECMAScript's; what they call a space is not what Python does (U+001C).
NO_SPACE = ("[^\\t-\\r \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff]")


def for_judge(schema):
    """The schema with such patterns in Python's words."""
    if isinstance(schema, dict):
        return {k: v.replace("\\S", NO_SPACE) if k == "pattern" and isinstance(v, str) else for_judge(v)
                for k, v in schema.items()}
    return [for_judge(v) for v in schema] if isinstance(schema, list) else schema


def fault(schema, answer):
    """What is wrong with the answer; None for nothing."""
    schema = for_judge(schema)
    if "text" not in answer:
        return str(answer)
    try:
        value = json.loads(answer["text"])
    except ValueError as error:
        return f"does not parse ({error}): {answer['text']}"
    try:
        jsonschema.Draft202012Validator(
            schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(value)
    except jsonschema.ValidationError as error:
        return f"does not validate ({error.message[:200]}): {answer['text'][:500]}"
    return None


def main():
    bench, tokenizer = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 3000
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    schemas = [Maker(f"{seed}.{i}").root() for i in range(count)]
    lines = "".join(json.dumps(s, ensure_ascii=False) + "\n" for s in schemas)
    mode = sys.argv[5] if len(sys.argv) > 5 else "walk"
    done = subprocess.run([bench, tokenizer, mode, str(seed)], input=lines.encode(), check=True,
                          stdout=subprocess.PIPE)
    answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert len(answers) == len(schemas)
    n_refused = n_wrong = n_open = 0
    reasons = {}
    for schema, answer in zip(schemas, answers):
        if "refused" in answer:
            n_refused += 1
            reasons[answer["refused"]] = reasons.get(answer["refused"], 0) + 1
            continue
        if "open" in answer:
            n_open += 1
            continue
        wrong = fault(schema, answer)
        if wrong:
            n_wrong += 1
            if n_wrong <= 10:
                print(json.dumps(schema, ensure_ascii=False), "->", wrong)
    for reason, n in sorted(reasons.items(), key=lambda item: -item[1])[:12]:
        print(f"refused {n}: {reason}")
    print(f"{count} schemas: {count - n_refused - n_wrong - n_open} valid, {n_wrong} wrong, "
          f"{n_refused} refused, {n_open} did not end")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
