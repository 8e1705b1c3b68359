"""Where in a notice an address stands: the patterns, as tables; reading them is in `notice.py`.

`before` and `after` are the text of the same line on either side of the address.
"""

from __future__ import annotations

import re


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# before: `Final-Recipient:`, `The recipient address =`
LABEL = re.compile(
    r"^\W{0,20}(?:(?:final|original|failed|intended|envelope|rejected|invalid)[- ]|the |unknown )?"
    r"(?:recipients?|addressees?|error-for|e-?mail(?: address)?|mailbox|user"
    r"|destinatario|destinataire|destinat[áa]rio|empf[äa]nger|收件人|宛先)"
    r"(?:[- ](?:address|e-?mail|name))?(?:es|\(s\))?[ \t]{0,20}[:=][ \t]{0,20}\W{0,5}$",
    re.IGNORECASE,
)
# before: nothing but the dress of a list
BULLETS = re.compile(
    r"^[\s>|*#=+.,:;\"'`(\[<\x95\u2022\u00b7-]{0,60}(?:\d{1,3}[.)]\s{0,4}|(?:smtp|mailto|rfc822|e-?mail)[:;]\s{0,4})?"
    r"[\s<\"'(\[]{0,20}$",
    re.IGNORECASE,
)
# before: `"Ann" <`
NAME_BEFORE = re.compile(r"^[\s>*\"'-]{0,10}[^@<>:,;()]{1,60}[\"']?\s{0,4}[<(\[]$")
# after: how a line of a list goes on
AFTER_LISTED = re.compile(
    r"^[\s>)\]\"'.,;:*|-]{0,60}(?:$|\(|<|on \w{3},|\.\.\.|:|;"
    r"|(?:expanded|generated|after|reason|unrecoverable|failed|smtp|while|bad|host))",
    re.IGNORECASE,
)
# after: nothing
NOTHING_ELSE = re.compile(r"^[\s>)\]\"'.,;:*|<-]*$")
# before: `Invalid final delivery userid:`
CAPTION = re.compile(r"^[\s>*#-]{0,10}[^\W\d_][^@<>\[\]=\"]{3,90}:\s{0,4}<?$")
# before: the summary of the message, as Exchange and Yahoo give it
SUMMARY = re.compile(r"^\W{0,10}(?:to|an|para|a|à)\s{0,4}:\W{0,6}$", re.IGNORECASE)
# before: said of whoever the message was for, often a line away from what happened to it
ADDRESSED = _any(
    r"(?:address(?:ed)?|destined|intended|directed|submitted|sent|you sent|message|mail) (?:was )?(?:to|for)(?: the)?"
    r"(?: following)?(?: recipient| user| address| mailbox)?s?\W{0,6}$",
    r"\b(?:local )?(?:user|recipient|addressee|mailbox|account)(?: name| address)?\W{0,6}$",
    r"was addressed\W{0,4}$",
)
# before: another name of the recipient that stands before it
ALIAS = _any(
    r"(?:expanded from|generated (?:from|by)|originally(?: addressed)? to|original (?:address|recipient)"
    r"|alias(?:ed)? (?:to|of|for)|forward(?:ed|ing)? (?:to|from|by)|delivered to|rewritten (?:as|to)"
    r"|an undisclosed address)[\s:<\"(]{0,6}$",
)
# before or after: a conversation with a server
DIALOGUE = _any(r"rcpt[ _]to", r"<<<", r">>>", r"\b[45]\d\d[ -]")
OUR_COMMAND = _any(r"mail[ _]from")
# before: somebody who is no recipient
OTHERS = _any(
    r"mail[ _]from|\bfrom[:=]|\bsender\b|envelope-from|reply-?to|return-path|\bwritten by\b",
    r"sent (?:from|by)|message from|mail from|\bby\W{0,3}$|received:|message-id|\bsubject:|^\s{0,4}cc:",
    r"\bcontact|assistance|questions?|\bhelp(?:desk)?\b|support|visit|http|mailto:|complain|daemon|report this",
    r"forward (?:this|a copy|the)|send (?:an? |your |mail )|please (?:send|reply|call|write|e-?mail)|\bif you\b",
    r"e-?mail (?:the )?(?:administrator|postmaster)|\bhost\b\W{0,3}$",
)
# the address itself: people in office, named as such in many notices
ROLE = _any(
    r"^(?:post-?master|mailer-?daemon|abuse|support|help(?:desk)?|noc|hostmaster|admin(?:istrator)?|webmaster"
    r"|no-?reply|do-?not-?reply|mail-?daemon|postoffice)@",
)
