"""The names of OpenTelemetry's conventions for generative AI, in one version, and our own beside them.

The conventions are in development, and a release may rename anything. Their version is sent with every
trace.
"""

VERSION = "0.1.0"  # of open-telemetry/semantic-conventions-genai
VERSION_ATTRIBUTE = "magid.gen_ai.semconv.version"

OPERATION = "gen_ai.operation.name"
WORKFLOW = "invoke_workflow"
AGENT = "invoke_agent"
OPERATIONS = {"chat": "chat", "paint": "generate_content"}  # by the journal's kind of call

AGENT_NAME = "gen_ai.agent.name"
CONVERSATION = "gen_ai.conversation.id"
PROVIDER = "gen_ai.provider.name"
MODEL = "gen_ai.request.model"
SEED = "gen_ai.request.seed"
TEMPERATURE = "gen_ai.request.temperature"
MAX_TOKENS = "gen_ai.request.max_tokens"
OUTPUT_TYPE = "gen_ai.output.type"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"

EVALUATION = "gen_ai.evaluation.result"  # an event
EVALUATION_NAME = "gen_ai.evaluation.name"
SCORE = "gen_ai.evaluation.score.value"
LABEL = "gen_ai.evaluation.score.label"
EXPLANATION = "gen_ai.evaluation.explanation"

ERROR = "error.type"
OTHER_ERROR = "_OTHER"  # of failures whose cause was not recorded
SESSION = "session.id"
RECORD_UID = "log.record.uid"  # records with the same one are duplicates

# OpenInference's: what viewers show of a span that is no chat, and its kind if the conventions have none.
KIND = "openinference.span.kind"
CHAIN, EVALUATOR = "CHAIN", "EVALUATOR"
INPUT_VALUE = "input.value"
OUTPUT_VALUE = "output.value"

STEP = "magid.step"
KEY = "magid.call.key"
IDENTITY = "magid.model.identity"  # with its revision or digest
REUSED = "magid.call.reused"
WAITED = "magid.call.waited_s"
SERVED = "magid.call.served_s"
COST = "magid.call.cost_usd"
UTTERANCE = "magid.utterance"
ATTEMPT = "magid.attempt"
IMAGE = "magid.image.sha256"
SCORES = "magid.score."  # followed by the check
VERDICT = "magid.verdict"
FINISHED = "magid.dialogue.finished"
ACCEPTED = "magid.dialogue.accepted_images"
DROPPED = "magid.dialogue.dropped_moments"
