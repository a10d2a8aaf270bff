"""Signs of instructions in what should be content: phrases, templates of chats, hidden characters; and how much each weighs.

One rule: a sign is what a document seldom says to its reader and an attacker often says to a model. None proves anything.
https://genai.owasp.org/llmrisk/llm01-prompt-injection/
"""

from typing import Final

from gatewright.guards.detect.scan import Row

_GAP: Final = r"[\s\W]{1,4}"
_SOME: Final = r"(?:[^\s.!?]+[\s\W]{1,4}){0,4}?"
"""A few words between."""


def _phrase(kind: str, *words: str) -> Row:
    """Words in this order, a few others between, whatever their case."""
    return Row(kind, rf"(?i:{(_GAP + _SOME).join(words)})")


WEIGHTS: Final = {
    "override": 3,  # put aside what was said before
    "reveal_prompt": 2,
    "new_role": 2,
    "no_limits": 2,
    "template": 2,  # what separates roles in chat templates
    "speaks_to_model": 2,
    "hide_from_user": 2,
    "exfiltration": 1,
    "hidden_text": 3,  # characters nobody sees that are letters to a model
    "zero_width": 2,
    "bidi": 2,
    "encoded": 3,  # what is encoded scores itself
}
"""Each kind counts once."""

ROWS: Final[tuple[Row, ...]] = (
    _phrase(
        "override",
        r"\b(?:ignore|disregard|forget|override|bypass|neglect|overlook|do not follow|don't follow|stop following)",
        r"(?:all|any|every|your|the|these|those|previous|prior|above|earlier|preceding|past|former|existing|original|initial|system|my)",
        r"(?:instructions?|prompts?|rules?|directions?|directives?|guidelines?|commands?|orders?|constraints?|programming|safeguards?)\b",
    ),
    _phrase(
        "override",
        r"\b(?:ignora|olvida|omite|descarta|haz caso omiso de|no sigas)",
        r"(?:instrucciones|reglas|indicaciones|órdenes)",
    ),
    _phrase(
        "override",
        r"\b(?:ignore[zr]?|oublie[zr]?|néglige[zr]?|ne (?:tiens|tenez) pas compte)",
        r"(?:instructions?|consignes?|règles?|directives)",
    ),
    _phrase(
        "override",
        r"\b(?:ignorier\w{0,3}|vergiss|vergessen sie|missachte\w{0,2}|übergeh\w{0,3})",
        r"(?:anweisung\w{0,3}|anleitung\w{0,3}|regeln|vorgaben|befehle)",
    ),
    _phrase("override", r"\b(?:ignora|dimentica|trascura|non seguire)", r"(?:istruzioni|regole|indicazioni|direttive)"),
    _phrase("override", r"\b(?:ignore|esqueça|esquece|desconsidere)", r"(?:instruções|instrucoes|regras|orientações)"),
    _phrase("override", r"\b(?:negeer|vergeet|sla)", r"(?:instructies|regels|aanwijzingen|opdrachten)"),
    _phrase("override", r"\b(?:zignoruj|ignoruj|zapomnij)", r"(?:instrukcj\w{1,3}|polece\w{1,3}|zasad\w{0,3}|wytyczn\w{1,3})"),
    _phrase(
        "override",
        r"(?:игнорируй\pL{0,3}|проигнорируй\pL{0,3}|забудь\pL{0,3}|не следуй\pL{0,3})",
        r"(?:инструкци\pL{1,3}|указани\pL{1,3}|правил\pL{0,3})",
    ),
    _phrase("override", r"(?:ігноруй\pL{0,3}|забудь\pL{0,3})", r"(?:інструкці\pL{1,3}|вказівк\pL{1,3}|правил\pL{0,3})"),
    _phrase(
        "override",
        r"(?:önceki|yukarıdaki|tüm)",
        r"(?:talimat\pL{0,6}|yönerge\pL{0,6}|kural\pL{0,6})",
        r"(?:yok say|görmezden gel|unut|dikkate alma)",
    ),
    Row("override", r"(?:忽略|无视|無視|忘记|忘記|不要遵守|不要理会).{0,12}(?:指令|指示|提示|规则|規則|说明|設定)"),
    Row("override", r"(?:指示|命令|ルール|プロンプト|指令).{0,8}(?:無視|忘れ|従わない)"),
    Row("override", r"(?:지시|명령|규칙|프롬프트|지침).{0,8}(?:무시|잊어|따르지)"),
    Row("override", r"(?:تجاهل|انس|تجاوز).{0,16}(?:التعليمات|الأوامر|القواعد|تعليمات)"),
    Row("override", r"(?:निर्देशों|निर्देश|नियमों).{0,24}(?:अनदेखा|अनदेखी|भूल|नज़रअंदाज़)"),
    _phrase(
        "reveal_prompt",
        r"\b(?:reveal|print|show|repeat|output|display|tell me|give me|share|leak|reproduce|what (?:is|are|was|were))",
        r"(?:system prompt|system message|(?:initial|hidden|original) (?:prompt|instructions?)"
        r"|secret instructions?|your instructions|everything above|words above|text above)\b",
    ),
    _phrase(
        "reveal_prompt",
        r"\b(?:muestra|revela|affiche|révèle|zeige|verrate|mostra|rivela)",
        r"(?:prompt|system-?prompt|instrucciones iniciales|systemanweisung\w{0,3})",
    ),
    _phrase(
        "new_role",
        r"\b(?:you are now|from now on,? you(?: are|'re| will)|pretend (?:to be|you are)|act as|roleplay as|you will now be)",
        r"(?:dan|evil|unrestricted|unfiltered|jailbroken|uncensored|developer mode|root|admin(?:istrator)?|hacker"
        r"|an? ai without|stan|aim)\b",
    ),
    Row(
        "new_role",
        r"(?i:\b(?:developer|debug|god|sudo|jailbreak|admin|maintenance|dan) mode\b[^\n]{0,24}"
        r"\b(?:enabled|activated|on|engaged|active)\b)",
    ),
    Row("new_role", r"(?i:\b(?:new|updated|real|actual) (?:system )?(?:instructions?|prompt|rules|directives?)\s{0,2}:)"),
    Row(
        "no_limits",
        r"(?i:\bdo anything now\b|\bwithout (?:any )?(?:restrictions?|limitations?|filters?|censorship|moral(?:s|ity)?"
        r"|ethical (?:guidelines|constraints))\b)",
    ),
    Row(
        "no_limits",
        r"(?i:\b(?:no|free (?:of|from)|not bound by|ignore) (?:any |all |your )?(?:ethical|moral|safety|content|legal) "
        r"(?:guidelines?|restrictions?|polic(?:y|ies)|filters?|constraints?|rules)\b)",
    ),
    Row("no_limits", r"(?i:\bnever (?:refuse|say (?:no|that you can(?:no|')t)|decline)\b)"),
    Row(
        "template",
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|end_header_id|eot_id|begin_of_text)\|>",
    ),
    Row("template", r"\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<\|?/?(?:channel|message|constrain)\|>"),
    Row(
        "template",
        r"(?im:^[ \t]{0,4}(?:#{2,4} ?|\*\*|\[|<)(?:system|system (?:message|prompt|override|note)|instructions?)"
        r"(?:\*\*|\]|>| ?#{0,4}):?[ \t]{0,8}$)",
    ),
    Row("template", r"(?i:</?(?:system|system_prompt|system-prompt|instructions?_override|admin_instructions)>)"),
    Row(
        "template", r"(?i:\b(?:begin|end|start) (?:of )?(?:the )?(?:system|admin|new|secret) (?:prompt|instructions?|message)\b)"
    ),
    Row(
        "speaks_to_model",
        r"(?i:\b(?:attention|note|important|instructions?|message|hey|dear)\b[^\n\w]{0,4}\b(?:(?:to|for) (?:the |any |all )?)?"
        r"(?:ai|llm|language model|chatbot|assistant|gpt|claude|gemini|copilot)s?\b"
        r"(?: (?:agent|assistant|model|system|reader|reviewer)s?)?\s{0,2}[:,!])",
    ),
    Row(
        "speaks_to_model",
        r"(?i:\b(?:if you are|as) an? (?:ai|llm|large language model|language model)\b[^\n.]{0,24}"
        r"\b(?:you must|you should|you are (?:required|instructed)|please)\b)",
    ),
    Row("speaks_to_model", r"(?i:<important>|\[important (?:system )?(?:instruction|message)s?\])"),
    _phrase(
        "hide_from_user",
        r"\b(?:do not|don't|never|without)",
        r"(?:tell|inform|telling|informing|mention|mentioning|notify|notifying|alert|alerting|reveal this to)",
        r"(?:the user|user|them|anyone|him|her|humans?)\b",
    ),
    _phrase("hide_from_user", r"\b(?:keep|do)", r"(?:this|it)", r"(?:secret from|hidden from|silently|secretly)"),
    Row("exfiltration", r"!\[[^\]\n]{0,80}\]\(https?://[^)\s]{1,200}\?[^)\s]{0,80}=(?:[^)\s]{0,40}[{<\[]|\s*\))"),
    _phrase(
        "exfiltration",
        r"\b(?:send|post|forward|upload|exfiltrate|transmit|append|email)",
        r"(?:https?://\S{4,80}|[\w.+-]{1,40}@[\w-]{1,40}\.\w{2,10})",
    ),
    Row("hidden_text", r"[\x{E0000}-\x{E007F}]{8,}"),
    Row("hidden_text", r"[\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]{4,}"),
    Row("zero_width", r"[\x{200B}-\x{200F}\x{2060}-\x{2064}\x{FEFF}\x{180E}]{4,}"),
    Row("zero_width", r"(?:\pL[\x{200B}\x{2060}\x{FEFF}\x{00AD}]){3,}"),
    Row("bidi", r"[\x{202D}\x{202E}]|[\x{2066}-\x{2068}][^\x{2069}\n]{0,200}\n"),
)
