"""The JSON Schema of study files: the studies shipped are valid, errors in them are found."""

import json
import re
import subprocess
import tomllib
import unittest

from programs import ORCHESTRATE, SOURCE, main

STUDIES = SOURCE / "experiments"
SCHEMA = json.loads(subprocess.run([ORCHESTRATE, "schema"], check=True, capture_output=True, text=True).stdout)

TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}
CHECKS = {
    "type": lambda value, word: TYPES[word](value),
    "enum": lambda value, names: value in names,
    "const": lambda value, name: value == name,
    "minimum": lambda value, bound: not TYPES["number"](value) or value >= bound,
    "maximum": lambda value, bound: not TYPES["number"](value) or value <= bound,
    "exclusiveMinimum": lambda value, bound: not TYPES["number"](value) or value > bound,
    "exclusiveMaximum": lambda value, bound: not TYPES["number"](value) or value < bound,
    "pattern": lambda value, pattern: not isinstance(value, str) or re.search(pattern, value) is not None,
    "minLength": lambda value, length: not isinstance(value, str) or len(value) >= length,
    "maxLength": lambda value, length: not isinstance(value, str) or len(value) <= length,
    "minItems": lambda value, count: not isinstance(value, list) or len(value) >= count,
    "maxItems": lambda value, count: not isinstance(value, list) or len(value) <= count,
    "minProperties": lambda value, count: not isinstance(value, dict) or len(value) >= count,
    "uniqueItems": lambda value, wanted: not wanted or not isinstance(value, list)
    or all(value.index(item) == place for place, item in enumerate(value)),
    "required": lambda value, keys: not isinstance(value, dict) or all(key in value for key in keys),
}
NOTES = {"$schema", "$defs", "title", "description"}


def is_valid(value, schema):
    """The part of JSON Schema that the schema uses; an unknown keyword is an error, not ignored."""
    for keyword, argument in schema.items():
        if keyword in NOTES or keyword == "additionalProperties":
            continue
        if keyword == "$ref":
            fine = is_valid(value, SCHEMA["$defs"][argument.removeprefix("#/$defs/")])
        elif keyword == "anyOf":
            fine = any(is_valid(value, one) for one in argument)
        elif keyword == "oneOf":
            fine = sum(is_valid(value, one) for one in argument) == 1
        elif keyword == "items":
            fine = not isinstance(value, list) or all(is_valid(item, argument) for item in value)
        elif keyword == "propertyNames":
            fine = not isinstance(value, dict) or all(is_valid(key, argument) for key in value)
        elif keyword == "properties":
            fine = not isinstance(value, dict) or properties_are_valid(value, argument, schema)
        else:
            fine = CHECKS[keyword](value, argument)
        if not fine:
            return False
    if "properties" not in schema and isinstance(schema.get("additionalProperties"), dict) and isinstance(value, dict):
        return all(is_valid(item, schema["additionalProperties"]) for item in value.values())
    return True


def properties_are_valid(value, properties, schema):
    others = schema.get("additionalProperties", True)
    return all(is_valid(item, properties[key]) if key in properties else others is not False
               for key, item in value.items())


class SchemaTest(unittest.TestCase):
    def assert_valid(self, text):
        study = tomllib.loads(text)
        self.assertTrue(is_valid(study, SCHEMA), text)

    def test_the_studies_shipped_are_valid(self):
        files = sorted(STUDIES.glob("*.toml"))
        self.assertGreaterEqual(len(files), 3)
        for file in files:
            with self.subTest(file=file.name):
                self.assert_valid(file.read_text())

    def test_another_validator_agrees(self):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("no jsonschema for this Python")
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        jsonschema.Draft202012Validator(SCHEMA).validate(tomllib.loads((STUDIES / "quickstart.toml").read_text()))

    def test_the_examples_of_the_readme_are_valid(self):
        examples = re.findall(r"```toml\n(.*?)```", (STUDIES / "README.md").read_text(), re.DOTALL)
        self.assertGreaterEqual(len(examples), 8)
        for example in examples:
            with self.subTest(example=example[:60]):
                self.assert_valid(example)

    def test_mistakes_are_found(self):
        for text in ('[train]\nepoch = 3', '[train]\nepochs = 0', '[train]\nepochs = "three"',
                     '[model]\nhead_activation = "rellu"', '[model]\nhidden_dropout_prob = 1.0',
                     '[study]\nseeds = [1, 1]', '[study]\nseeds = { initialization = 3 }',
                     '[search.space]\n"train.epochs" = { intger = [1, 2] }',
                     '[search.space]\n"train.epochs" = { choice = [0] }',
                     '[search.space]\n"data.label" = ["x"]',
                     '[[ablation]]\nleave_one_ot = "data.features"',
                     '[[ablation]]\nset = { "train.epochs" = 0 }', '[[ablation]]\nset = { train.epoch = 1 }',
                     '[[ablation]]\nsweep = { "train.epochs" = 3 }', '[ablation]\nadd = "x"', '[trian]\nepochs = 3'):
            with self.subTest(text=text):
                self.assertFalse(is_valid(tomllib.loads(text), SCHEMA))

    def test_variables_may_stand_for_any_value(self):
        self.assert_valid('[variables]\nn = 3\n[train]\nepochs = "${n}"\n[[ablation]]\nset = { train.epochs = "${n}" }')


if __name__ == "__main__":
    main()
