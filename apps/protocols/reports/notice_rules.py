"""The words by which notices are told apart, as tables; reading them is in `signs.py`, `notice.py` and `verdict.py`.

They stand for causes and families, not for single products: what a group of MTAs writes for the same thing.
Every pattern is bounded, so that no text makes it slow.
"""

from __future__ import annotations

import re


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# --- Who writes bounces -------------------------------------------------------------------------------------------

# By the local part of the address,
DAEMON = _any(
    r"(?:mailer|mail|delivery|smtp|bounce|mta)[-_.]?(?:daemon|deamon)s?|post[-_]?(?:master|office)|mdaemon",
    r"bounce[sd]?\b|mailmaster",
    r"mail(?:er)?[-_.]?(?:delivery|admin|system|server|router|agent|gateway|service|error)",
    r"(?:delivery|mail)[-_.]?(?:sub)?[-_.]?(?:sub)?system",
    r"delivery[-_.]?(?:agent|service|notification|report)|microsoftexchange|undelivered|non[-_.]?delivery",
    r"system[-_.]?administrator",
)
# and by the name beside it.
DAEMON_NAME = _any(
    r"\bmail(?:er)?[- ]?d[ae]{2}mon\b",
    r"\bmail(?:er)? (?:delivery|administrator|admin|system|server|router|agent|gateway|service)s?\b",
    r"\bmail delivery\b",
    r"\bdelivery (?:sub)?[- ]?system\b|\bdelivery (?:agent|service|notification|report|subsystem)\b",
    r"\bpostmaster\W{0,3}(?:<|$|\()",
    r"\bsystem administrator\b|\binternet mail (?:delivery|service|connector)\b|\bmicrosoft outlook\b",
    r"\bmail subsystem\b",
)

NO_REPLY = _any(r"^(?:no|do-?not)[-_.]?reply")

# --- Subjects -----------------------------------------------------------------------------------------------------

BOUNCE_SUBJECT = _any(
    r"\bundeliver(?:ed|able|y)|\bnot delivered\b|\bnon[- ]?deliver|\bnon[- ]?remis|\bunzustellbar",
    r"\breturned (?:mail|e-?mail|message|to sender)|\breturn(?:ing|ed)? (?:message|mail) to sender|^returned\b",
    r"\bdelivery (?:status |of .{0,40} )?(?:notification|failure|failed|error|problem|report"
    r"|status|has failed|unsuccessful|warning|delay)",
    r"\b(?:mail|message|e-?mail)s? (?:delivery |could |was |has |have |status |transport )?(?:failure"
    r"|failed|error|problem|unavailable|not )",
    r"\bfail(?:ure|ed)[- ]?(?:notice|notification|delivery|mail|message|to deliver|: )|\bnotice of failure",
    r"^fail(?:ure|ed)\b",
    r"\b(?:could|can|was|is|has) ?not (?:be |been )?(?:send|sent|deliver)|\bcannot (?:be )?(?:send|sent|deliver)",
    r"\bunable to (?:send|deliver)",
    r"\bdelivery (?:failed|not|error)|\bundeliv|\berror (?:sending|delivering|mail)|\bmail[- ]?error",
    r"\bbounced? (?:mail|message)|\bmail bounce",
    r"\bunknown (?:user|address|recipient)|\buser unknown|\bno such (?:user|address)",
    r"\bmailbox (?:is )?(?:full|unavailable)|\bdelayed (?:mail|message)",
    r"\bwarning[-:] .{0,30}(?:could not|delayed|not delivered|still)",
    r"\b(?:mail|message|delivery) (?:is |has been |was )?(?:delayed|rejected|blocked|refused)",
    r"\bmessage (?:you sent )?(?:is |was |has been )?(?:blocked|rejected|refused|returned|bounced)",
    r"\[bounced?\]|^bounced?\b",
    r"\brejected (?:mail|message|e-?mail)|\bsmtp error\b|\bmail system error|\bstill (?:trying|being retried)",
    r"\bpostmaster notify\b",
    r"\berror sending|\btrouble (?:sending|delivering)|\bdelivery.{0,20}\bimpossible|\bwas rejected\b",
    r"\bnotification of delivery fail",
    # German, Dutch, the Scandinavian and the Romance languages, Polish, Czech, Russian, Turkish
    r"nicht zugestellt|zustellung|unzustellbar|fehler beim? (?:senden|versand)|konnte nicht|onbestelbaar",
    r"niet (?:worden )?(?:afgeleverd|bezorgd)",
    r"kunde inte levereras|kunne ikke leveres|ikke levert|toimitus|\bnon (?:remis|distribu|d[ée]livr|consegn)",
    r"[ée]chec (?:de |d')|notification d'[ée]tat",
    r"mancata consegna|impossibile (?:recapitare|consegnare)|no (?:se (?:pudo|ha podido) )?(?:entregad|entregar)",
    r"devuelto|no entregado|error de entrega",
    r"n[ãa]o (?:foi )?(?:entregue|p[ôo]de)|devolvid|falha (?:na|de) entrega|niedostarcz|nie dostarcz|zwrot",
    r"nedoru[čc]|недостав|не доставлен|teslim edil",
    # Japanese, Chinese, Korean
    "エラーメール|メールエラー|エラー通知|送信エラー|配信(?:エラー|失敗|不能|できま)",
    "配送(?:エラー|失敗|不能|できま)|配達(?:不能|でき)|不達|返送|送信(?:でき|失敗)|届け(?:でき|られ)|宛先不明",
    "退信|投递失败|退件|無法(?:傳遞|遞送|投遞)|无法(?:送达|投递)|发送失败|系统退信|传送失败|未送达|배달|반송",
    "전송 ?실패|전달되지|수신자",
)
REPLY_SUBJECT = _any(r"^\s*(?:re|aw|antw|sv|vs|rv|fwd?|fw|wg|tr|enc|odp|回复|答复|转发)\s*(?:\[\d{1,3}\])?\s*[:：]")
DELAY_SUBJECT = _any(
    r"\bdelay|\bwarning\W{1,3}.{0,40}(?:could not send|not (?:yet )?(?:been )?delivered|still)",
    r"\bstill (?:trying|being)|verz[öo]ger|retard[ée]|\bwird verz|\bdemora|遅延|延迟|延遲",
)

# --- Auto-replies (RFC 3834) ----------------------------------------------------------------------------------------

AUTO_REPLY_SUBJECT = _any(
    r"\bout[- ]of[- ](?:the[- ])?office\b|\bon vacation\b|\bvacation (?:reply|message|response|notice)|\bvacation\b",
    r"\bauto(?:matic|mated)?[- ]?(?:reply|response|responder|answer)",
    r"\baway from (?:my|the) (?:mail|e-?mail|office|desk)|\bon holidays?\b|\bannual leave\b|\bmaternity leave\b",
    r"\bon leave\b|\bout of (?:town|the country)",
    r"\bthank you for (?:your (?:e-?mail|message|inquiry|enquiry|mail|interest)|contacting)",
    r"\bthanks for your (?:mail|e-?mail|message)",
    r"\bwe (?:have )?received your|\bmessage received\b|\byour (?:e-?mail|message) (?:has been|was) received",
    r"\bconfirmation of receipt|\backnowledge?ment\b",
    r"abwesenheit|urlaub|nicht im (?:b[üu]ro|hause)|automatische (?:antwort|r[ée]ponse)|automatisch antwoord|afwezig",
    r"r[ée]ponse (?:automatique|d'absence)|absen(?:ce|t) du bureau|respuesta autom[áa]tica|fuera de (?:la )?oficina",
    r"resposta autom[áa]tica",
    r"risposta automatica|fuori ufficio|automaattinen|automatisk(?:t)? svar|fr[åa]nvarande|autosvar",
    r"odpowied[źz] automatyczna|automatick[áa] odpov|автоответ|автоматический ответ|otomatik (?:yan[ıi]t|cevap)",
    "自動(?:返信|応答)|不在(?:通知|の)|休暇|自动(?:回复|答复)|自動回覆|부재|자동 ?(?:응답|회신)",
)
AUTO_REPLY_WORDS = _any(
    r"\b(?:i|we)(?:['’]m| am| are| will be|['’]ll be)(?: currently| now)? (?:out of|away|on vacation"
    r"|on holiday|on leave|only sleeping|not (?:in|at) the office|travell?ing|unavailable)",
    r"\bout of (?:the )?office\b|\bon (?:annual|maternity|parental|vacation) leave",
    r"\bthis is an auto(?:matic|mated)?(?:ally generated)? (?:reply|response)",
    r"\bwill (?:reply|respond|return|get back|read your)|\bmy return\b|\blimited access to (?:my )?e-?mail",
    r"bin (?:ich )?(?:nicht im|im urlaub|ab)|absence|vacaciones|f[ée]rias|ferie",
)

# Who must first prove to be human was neither refused nor accepted.
CHALLENGE = _any(
    r"(?:confirm|verify|authenticate|prove) (?:that )?(?:you(?:r|rself)?|this|the|my|receipt|delivery)\b",
    r"challenge[-/ ]response|moderator|awaiting approval|held (?:for|until)",
    r"(?:click|reply|respond)\b.{0,80}\bto (?:have|get|release)",
    r"add(?:ed)? (?:you )?to (?:my|our|the|their) (?:white ?list|approved|allowed)",
)

# --- Words that say: not delivered ------------------------------------------------------------------------------------

FAILURE = _any(
    r"(?:could|can|was|were|is|are|has|have|did|does|do|may|will) ?not (?:be |been |currently be "
    r"|yet been |currently )?(?:successfully )?(?:sent|send|deliver|transmit|reach|relay|receive"
    r"|accept|process|find|locate|complete|forward)",
    r"(?:couldn|wasn|can|didn|hasn|isn|aren|doesn|won)['’]?t (?:be |been )?(?:sent|send|deliver"
    r"|reach|receive|accept|relay|find)",
    r"cannot (?:be )?(?:send|sent|deliver|accept|be found|reach)",
    r"not (?:be )?(?:been )?(?:able to |successfully )(?:deliver|send|reach)",
    r"unable to (?:deliver|send|relay|reach|transmit|locate|route|complete|find)",
    r"fail(?:ed|ure|s)? (?:to |of |in )?(?:deliver|send|reach|the delivery|relay|permanent)",
    r"undeliver(?:ed|able)|not delivered|non-?deliver",
    r"delivery (?:to |of |attempt |has |status |report).{0,80}?(?:fail|delay|aborted|impossible|not)",
    r"delivery (?:failed|error|failure|problem)|permanent(?:ly)? (?:fatal |delivery )?(?:error|fail)",
    r"(?:permanent|fatal|transient|temporary|delivery) errors?|non-?fatal errors|transient",
    r"(?:was|were|been|is|has) (?:rejected|refused|returned|bounced|blocked|undeliver|delayed|denied)",
    r"rejected (?:by|your|the|recipient|for)|returned to (?:sender|you)|being returned",
    r"returning (?:the |your )?message",
    r"(?:following|these) (?:address|recipient|user|destination)|address(?:es|\(es\))? (?:had|failed|has|have|with)",
    r"recipients?(?:\(s\))? (?:failed|could|cannot|was|were|of this|who|did|that)",
    r"user unknown|unknown user|no such (?:user|recipient|address|mailbox|person|account|domain|host)",
    r"mailbox (?:is )?(?:full|unavailable|not found|disabled)",
    r"unknown (?:recipient|address|mailbox|account|host|local)",
    r"does ?n[o']t exist|not (?:a )?(?:valid|known|found|listed|our customer|recognized|active)",
    r"invalid (?:recipient|address|user|mailbox)|over quota|quota exceeded",
    r"exceed\w* (?:the )?(?:allowed|quota|storage|maximum|mailbox)",
    r"given up|giv(?:e|ing) up|retry time(?:out)?|time limit exceeded|too long in the queue",
    r"in the queue (?:too long|for)|host (?:not found|unknown|unreachable)",
    r"(?:problem|trouble|error|failure|difficulty)s? (?:was |occurred )?(?:while )?(?:deliver"
    r"|sending|with (?:the )?(?:delivery|your))",
    r"error (?:occurred|sending|was detected|delivering)|did not reach|not reach the|has (?:been )?fail|has failed",
    r"bounced|undelivered",
    r"nicht (?:zugestellt|erreich|ausgeliefert|gefunden|existiert)|unbekannt|unzustellbar|fehlgeschlagen",
    r"niet (?:worden )?(?:afgeleverd|bezorgd|bestel)|ikke (?:leveres|levert)|inte levereras",
    r"n['’]a (?:pas )?(?:pu|[ée]t[ée])|non (?:remis|distribu|d[ée]livr|consegn|recapit)|pas (?:pu )?[êe]tre|impossib",
    r"no (?:se )?(?:pudo|puede|ha sido|fue|existe|entreg)|n[ãa]o (?:foi|p[ôo]de|existe|entreg)|desconocid",
    r"desconhecid|inconnu|sconosciut",
    r"nie (?:mo[żz]e|zosta|istnieje|dostarcz)|не (?:может|был|существует|достав|удалось|найден)|nelze|nebyl[ao]?",
    r"neexistuje|teslim edilemedi",
    "できません|できな(?:い|かった)|見つかり|存在し(?:ない|ませ)|エラー|届き|不明|満杯|一杯|いっぱい|无法|無法",
    "不存在|失败|失敗|退回|拒绝|拒絕|실패|없습니다|않습니다",
)
# These leave no doubt what sort of mail it is.
NOT_DELIVERED = _any(
    r"(?:could|can|was|were|has|have|cannot|can) ?not (?:yet )?(?:be|been)? ?(?:successfully )?deliver",
    r"(?:unable|not able) to (?:deliver|reach|relay)|cannot (?:be )?deliver|undeliver(?:ed|able)|not delivered",
    r"did not reach the following",
    r"delivery (?:to |of |attempt |has |status )?.{0,80}?(?:failed|aborted)|permanent (?:fatal |delivery )?errors?",
    r"returned to (?:the )?sender|fail(?:ed|ure) (?:to|of) deliver|user unknown|unknown user|no such user",
    r"mailbox (?:is )?full|over quota",
    r"rejected by|delivery failure|non-?deliver|was rejected (?:due|because|by)|returning (?:your|the) message",
    r"nicht zugestellt|届け|配信でき|送信でき|不達|无法送达|无法投递|退信",
)
# How programs present themselves.
MACHINE = _any(
    r"(?:this|here) is (?:the|an?) .{0,40}(?:program|system|server|daemon|software|delivery status notification)",
    r"i['’]m (?:afraid|sorry) (?:i wasn['’]t able|to have to inform)|(?:created|generated|sent) automatically by",
    r"automatically[- ]generated|transcript of (?:the )?session|do not reply to this",
)
DELAY = _any(
    r"\bdelayed\b(?!\.status)|\bthis is a warning\b|warning message only|do not need to resend|no need to resend",
    r"need not resend",
    r"will (?:be retried|(?:still |continue (?:to )?|keep )(?:try|be tr|retry|attempt)|retry"
    r"|try again|be attempted|continue (?:to be )?)",
    r"(?:still|continue|keep) (?:being )?(?:trying|retrying|retried)|continue (?:to )?(?:try|retry|attempt)",
    r"has(?:n['’]t| not) (?:yet )?been delivered (?:yet|after|in|for)",
    r"not (?:yet )?been (?:delivered|received|sent) (?:yet|after|to one or more of its recipients after|within)",
    r"not yet (?:been )?deliver|temporarily (?:delayed|undeliver)",
    r"delivery attempts will continue|no action is required",
    r"temporary (?:delivery )?(?:failure|error|problem)s?.{0,60}(?:retr|again|later)|had transient non-?fatal errors",
    r"transient delivery|wird verz[öo]ger|weiter(?:e|hin)? versuch|noch nicht zugestellt",
    "再送を試み|遅延",
)
# Outweighs the words of a delay: what was tried for days, and given up.
FINAL = _any(
    r"giv(?:en|ing) up|gave up|no(?:t going to)? (?:further|more) (?:delivery )?attempt|not going to try",
    r"permanent(?:ly)? (?:fatal )?(?:error|fail)|(?<!non-)fatal error|will not (?:be )?(?:retr|tr)",
    r"(?:message|mail) (?:has )?expired|retry timeout exceeded|could not be delivered for",
    r"has been (?:deleted|removed|returned)|being returned|failed permanently|been in the queue too long",
)
# The notice of a delivery that went well, in words.
SUCCESS = _any(
    r"\b(?:was|were|been|is) (?:successfully |well )?(?:delivered|relayed)\b(?! for| yet| in| after)",
    r"successfully delivered|delivery (?:was )?success|successful(?:ly)? (?:deliver|relay)",
)

# --- Lasting or not, where no code says so ----------------------------------------------------------------------------

EXPIRED = _any(
    r"timed? ?out|time limit|expired|too long|retry time|gave up|giving up",
    r"after (?:multiple|several|\d{1,4}) (?:retr|attempt|tri|hour|day|minute)",
    r"(?:for|within|in|over|after) (?:more than )?[\d.]{1,6} (?:hour|day|minute|second)",
    r"\b\d{1,4} (?:attempts|tries|retries)",
    r"not (?:been )?(?:responding|answer)|(?:delivery )?retries",
    r"connection (?:refused|reset|timed|lost|closed|dropped|died)|no route|unreachable|network (?:error|problem)",
    r"deferred|temporar|try again|multiple retries|lost connection|not respond",
    r"within \d{1,4} days? and \d{1,4} hours?|host (?:is )?(?:down|not responding|unreachable)",
    r"(?:could not|unable to|cannot|can['’]t) connect|not accept our requests to connect|socket error|queue lifetime",
    r"refused to talk|no answer",
)
SOFT_WORDS = _any(
    r"(?:mail ?box|inbox|mail ?folder|account|mail ?file|user|recipient|maildir|storage|quota).{0,60}?"
    r"(?:\bfull\b|over ?quota|exceed|over (?:its |the )?(?:disk |size |storage )?(?:quota|limit)|no space|overflow"
    r"|limit)",
    r"over (?:the )?(?:allowed )?(?:disk |mail |storage )?quota|quota (?:exceed|full|violation|limit)",
    r"exceed\w* (?:\w+ ){0,3}(?:quota|allowed size|storage|space|disk)|disk full",
    r"insufficient (?:disk |storage )?space|not enough (?:storage|disk|space)|no (?:disk )?space left",
    r"out of (?:storage|space)|too full",
    r"postfach .{0,30}voll|speicherplatz|bo[îi]te .{0,30}pleine|casella .{0,30}piena|buz[óo]n .{0,30}lleno",
    r"caixa .{0,40}cheia|skrzynk\w+ .{0,30}pe[łl]n|переполнен|schr[áa]nka .{0,20}pln",
    "満杯|一杯|いっぱい|容量|メールボックスに空き|邮箱(?:已|空间)?满|空间不足|已满|超出.{0,10}配额|信箱已滿|용량",
)
HARD_WORDS = _any(
    # a noun, a few words, and what is wrong with it;
    r"(?:user|recipient|address(?:ee)?|mail ?box|account|e-?mail|alias|person|name|host|domain|destination|local part"
    r"|site|server|system)(?: name| address| account| host)?s?(?:\(s\))?(?: \S{1,80}){0,4}?"
    r" (?:unknown|does ?n[o']t exist|not (?:be )?(?:found|known|listed|recogni[sz]ed|valid|exist|a valid"
    r"|active|available here|resolved|in|locate|local|handled)|do(?:es)? not exist"
    r"|is(?: either)? (?:invalid|not|unknown|incorrect|inactive|disabled|closed|suspended)"
    r"|invalid|disabled|inactive|suspended|discontinued|unrecogni[sz]ed|cannot be found"
    r"|has been (?:disabled|closed|deleted|suspended|terminated|removed))",
    # or what is wrong, and the noun.
    r"(?:unknown|invalid|unrecogni[sz]ed|undefined|bad|nonexistent|non-existent|illegal|incorrect|unlisted|inactive"
    r"|disabled|unroute?able)(?: or \w+)?(?: final| delivery| local| mail| e-?mail| recipient){0,3} (?:user|receiver"
    r"|recipient|address|mail ?box|account|e-?mail|local|alias|name|host|domain|destination|remote|addressee)",
    r"no (?:such|mailbox|valid|account|user|local|matching|known|recipient|mail ?box)(?: \w+)? ?(?:user|recipient"
    r"|address|mail ?box|person|account|here|domain|host|name|local|found|by|called|in|on|matches|e-?mail|alias|known)",
    r"(?:couldn|could|can)(?:['’]t| ?not) (?:be )?(?:find|found|locate|resolve)\w*(?: (?:any|a|the|an))? ?(?:host|user"
    r"|account|recipient|mail ?box|domain|address|name|mx|exchanger|here)|did not (?:exactly )?match",
    r"couldn't find any host|unrouteable|domain (?:name )?(?:not found|lookup|does)|host not found|nxdomain",
    r"name (?:service|server) error.{0,60}not found|dns (?:lookup|look-up|error|failure|resolution)|lookup fail",
    r"invalid (?:mx|domain|host)|no mx|not (?:our|a) (?:customer|local)",
    r"no longer (?:valid|with|at|in use|active|employed|work|exist|available|here)|never (?:logged|existed)",
    r"not (?:listed in|a (?:valid|known|registered|local))|has (?:left|moved)",
    r"is not (?:a|recogni|valid|known|registered|on)|name is not recogni|possibly incorrect|doesn['’]t have (?:a|an)",
    r"account (?:is )?(?:closed|disabled|deleted|terminated|cancel)|unknown to",
    r"permanent(?:ly)? (?:disabled|closed|reject)",
    r"(?:message|mail|size).{0,40}?(?:too (?:large|big)|exceed|larger than|size limit)|group you tried to contact",
    r"may not exist|not accept(?:ing)? (?:mail|messages|any)|refus(?:es|ed) (?:to accept|your|the|mail|message)",
    r"relay(?:ing)? (?:denied|not)",
    r"unbekannt|introuvable|existiert nicht|nicht (?:gefunden|bekannt|vorhanden)|inconnu|n['’]existe pas|desconocid",
    r"no existe|desconhecid|n[ãa]o existe|inesistente|sconosciut|nie istnieje|nieznan|neexistuje|не существует",
    r"не найден|bulunamad|onbekend|ok[äa]nd|ukendt|ukjent|finns inte|tuntematon",
    "見つかり|存在し(?:ない|ませ|て(?:いな|おり))|宛先不明|不明なユーザ|ユーザ.{0,6}不明|アドレスが(?:間違|正しく)",
    "不存在|无此|查无|無此|找不到|不正確|无效|존재하지|없는 (?:사용자|메일|계정)",
)
