"""Turn an image description and its dialogue into a generation prompt for this painter.

A usable prompt is not empty, within the token limit, and different from all earlier ones. What makes a good
prompt is up to the prompt file.
"""

from langgraph.runtime import Runtime

from magid_agents.agents.answers import InvalidAnswer
from magid_agents.agents.services import Services
from magid_agents.agents.state import MomentState, dropped, step_ref
from magid_agents.dialogue import Attempt
from magid_agents.schemas import GenerationPrompt, GenerationPrompts, Written


async def prompt_writer(state: MomentState, runtime: Runtime[Services]) -> dict[str, object]:
    """Write the first prompt, or rewrite it with the last attempt's verdict.

    The moment is dropped, with the reason, if there is no usable prompt.
    """
    services, moment = runtime.context, state["moment"]
    earlier = state.get("attempts", [])
    limit = services.painter.token_limit
    values = {
        "utterances": state["dialogue"].utterances,
        "moment": moment,
        "style": services.settings.writer.style,
        "token_limit": limit,
        "earlier": [a.prompt for a in earlier],
        "last": earlier[-1] if earlier else None,
    }
    writer = services.settings.writer
    template = writer.rewrite if earlier else writer.write
    tried = [a.prompt for a in earlier]
    several = services.output_schema(template) is GenerationPrompts
    shape: type[Written] = GenerationPrompts if several else GenerationPrompt
    try:
        answer = await services.ask(
            step_ref(state, "write"),
            template,
            values,
            shape,
            lambda found: pick_prompt(found, tried, services)[1],
        )
    except InvalidAnswer as error:
        reason = f"no {'other prompt' if earlier else 'prompt'} was written: {error.problem}"
        return {"outcomes": [dropped(state, reason)]}
    prompt, _ = pick_prompt(answer, tried, services)
    return {"draft": Attempt(prompt=prompt)}


async def verbatim(state: MomentState) -> dict[str, Attempt]:
    """Use the description itself as the prompt, as the baseline does."""
    return {"draft": Attempt(prompt=" ".join(state["moment"].description.split()))}


def pick_prompt(answer: Written, tried: list[str], services: Services) -> tuple[str, str | None]:
    """Return (the first usable prompt, None), or ("", what is wrong with the last one)."""
    wrong: str | None = "there is no prompt"
    for prompt in answer.choices:
        wrong = check_prompt(prompt, tried, services)
        if wrong is None:
            return " ".join(prompt.split()), None
    return "", wrong


def check_prompt(prompt: str, earlier: list[str], services: Services) -> str | None:
    """Return what is wrong with a prompt, in words for the writer, or None."""
    words = " ".join(prompt.split())
    if not words:
        return "the prompt is empty"
    if words.lower() in {e.lower() for e in earlier}:
        return "this very prompt was tried before, write a different one"
    limit = services.painter.token_limit
    if limit is not None and (count := services.painter.count_tokens(words)) > limit:
        return f"the prompt has {count} tokens, the painter reads {limit}: write a shorter one"
    return None
