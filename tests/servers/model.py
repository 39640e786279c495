"""What the model behind the tests' endpoint says: words, or JSON if it got the schema in a way it knows."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.servers.personalities import Personality

THOUGHT = "<think>\nWell, let me see.\n</think>\n\n"
THOUGHT_TOKENS = 64
Body = Mapping[str, Any]


@dataclass(frozen=True)
class Schema:
    """What an answer is to look like, and how the request says so."""

    how: str  # json_schema, function or words
    schema: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.schema["title"])


def stated_schema(body: Body) -> Schema | None:
    """The schema of the answer that a request asks for, in whatever way."""
    form = body.get("response_format", {})
    if form.get("type") == "json_schema":
        return Schema("json_schema", form["json_schema"]["schema"])
    if "tools" in body:
        return Schema("function", body["tools"][0]["function"]["parameters"])
    text = last_words(body)
    for brace in re.finditer(r"\{", text):
        try:
            value, _ = json.JSONDecoder().raw_decode(text, brace.start())
        except ValueError:
            continue
        if isinstance(value, dict) and "properties" in value:
            return Schema("words", value)
    return None


def last_words(body: Body) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else str(content[0]["text"])


def sees_image(body: Body) -> bool:
    content = body["messages"][-1]["content"]
    return not isinstance(content, str) and any(part["type"] == "image_url" for part in content)


def choice(body: Body, personality: Personality, answer: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The choice and usage of a chat completion; `answer` is what the model knows to say, if anything."""
    understood = {name: value for name, value in body.items() if name not in personality.ignored}
    schema = stated_schema(understood)
    if schema is not None:
        text = answer if answer is not None else json.dumps(_instance(schema.schema))
        if schema.how == "words" and "response_format" not in understood:
            text = f"Sure, here it is:\n```json\n{text}\n```\nAnything else?"
    elif stated_schema(body) is not None:
        text = "1. Spring follows winter."
    else:
        text = answer if answer is not None else _own_words(body)
    if personality.thinks == "aloud" and (schema is None or schema.how == "words"):
        text = THOUGHT + text
    thought = THOUGHT_TOKENS if personality.thinks == "silently" else 0
    tokens = re.findall(r"\s*\S+", text)
    limits = [understood[name] for name in ("max_completion_tokens", "max_tokens") if name in understood]
    room = max(0, min(limits, default=10**6) - thought)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(tokens[:room])}
    if schema is not None and schema.how == "function":
        call = {"name": schema.name, "arguments": message["content"]}
        message |= {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": call}]}
    count = thought + len(tokens[:room])
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": count,
        "total_tokens": 7 + count,
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    logprobs = None
    if understood.get("logprobs") and tokens:
        logprobs = {"content": [_first_token(tokens[0].strip(), understood["top_logprobs"])]}
    reason = "length" if len(tokens) > room else "stop"
    return {"index": 0, "finish_reason": reason, "message": message, "logprobs": logprobs}, usage


def _own_words(body: Body) -> str:
    text = last_words(body).lower()
    if "yes or no" in json.dumps(body["messages"]).lower():
        return ("Yes." if "snow" in text else "No.") + " Here is why, at some length, and in more words." * 3
    if "colours" in text and sees_image(body):
        return "It is orange on the left and green on the right."
    return "Sure! Red and blue."


def _instance(schema: Mapping[str, Any]) -> Any:
    """The least that a schema takes."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        return {name: _instance(schema["properties"][name]) for name in schema["required"]}
    return {"string": "word", "integer": 0, "number": 0, "boolean": True, "array": []}[schema["type"]]


def _first_token(said: str, count: int) -> dict[str, Any]:
    """The likeliest first tokens: a trace of Yes and No is in any answer's."""
    word = re.sub(r"\W", "", said)
    others = {"Yes": ("No", "yes"), "No": ("Yes", "no")}.get(word, ("Yes", "No"))
    shares = [0.8, 0.15, 0.05] if word in ("Yes", "No") else [0.97, 0.02, 0.01]
    top = [
        {"token": token, "logprob": math.log(share), "bytes": None}
        for token, share in zip((word or said, *others), shares, strict=True)
    ]
    return {**top[0], "top_logprobs": top[:count]}
