"""The words every service shares. Each member carries its sentence, so that a page or a table need not invent one."""

from enum import IntEnum, StrEnum
from typing import Self


class Word(StrEnum):
    """A word of the vocabulary: its wire value, and what it means in English and in Chinese."""

    sentence: str
    sentence_zh: str

    def __new__(cls, value: str, sentence: str = "", sentence_zh: str = "") -> Self:
        """Makes the member a string equal to its wire value, with its sentences beside it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        member.sentence_zh = sentence_zh
        return member


class SourceKind(Word):
    """Who a report comes from. All but `user` are flagged sources and may have a lane of their own."""

    USER = "user", "An ordinary user of the platform.", "平台普通用户。"
    POLICE = "police", "A verified police account.", "经认证的网警账号。"
    TRUSTED_FLAGGER = "trusted_flagger", "An organisation recognised for its expertise.", "被认可的专业举报机构。"
    GOVERNMENT = "government", "A public authority other than the police.", "警方以外的政府机关。"


FLAGGED_KINDS = frozenset({SourceKind.POLICE, SourceKind.TRUSTED_FLAGGER, SourceKind.GOVERNMENT})


class Channel(Word):
    """How a report was made."""

    ONE_CLICK = "one_click", "The report button of an ordinary user.", "一键举报。"
    POLICE_ONE_CLICK = "police_one_click", "The report button of a police account.", "网警一键举报。"
    DIRECT_MESSAGE = "direct_message", "A private message to a police account.", "向网警账号发送的私信。"
    MENTION = "mention", "A comment that mentions a police account.", "评论中@网警账号。"
    WEB_FORM = "web_form", "The public form on the web.", "网页表单。"
    IMPORT = "import", "Read in from a file of earlier reports.", "由历史数据导入。"


class ContentType(Word):
    """What kind of thing is reported."""

    VIDEO = "video", "A recorded video.", "视频。"
    LIVE = "live", "A live stream.", "直播。"
    COMMENT = "comment", "A comment under content.", "评论。"
    MESSAGE = "message", "A private message.", "私信。"
    IMAGE = "image", "A picture.", "图片。"
    TEXT = "text", "A post of text.", "图文或文字。"
    AUDIO = "audio", "A sound recording.", "音频。"
    ACCOUNT = "account", "A whole account.", "账号。"
    PRODUCT = "product", "Goods on offer.", "商品。"
    OTHER = "other", "Something else.", "其他。"


class Category(Word):
    """What is wrong, in the words of the DSA transparency database; `platform_code` maps to the complaint classes."""

    ANIMAL_WELFARE = "animal_welfare", "Harm to animals.", "虐待动物。"
    CONSUMER_INFORMATION = "consumer_information", "Missing or false consumer information.", "消费信息不实。"
    CYBER_VIOLENCE = "cyber_violence", "Harassment or bullying online.", "网络暴力。"
    CYBER_VIOLENCE_AGAINST_WOMEN = (
        "cyber_violence_against_women",
        "Such violence against women.",
        "针对女性的网络暴力。",
    )
    DATA_PROTECTION = (
        "data_protection_and_privacy_violations",
        "Personal data used or shown unlawfully.",
        "侵犯个人信息与隐私。",
    )
    SPEECH = "illegal_or_harmful_speech", "Hate, defamation or discrimination.", "违法或有害言论。"
    INTELLECTUAL_PROPERTY = "intellectual_property_infringements", "Another's work or mark used.", "侵犯知识产权。"
    CIVIC_DISCOURSE = (
        "negative_effects_on_civic_discourse_or_elections",
        "Disinformation or manipulation.",
        "谣言与操纵舆论。",
    )
    MINORS = "protection_of_minors", "Harm to children and young people.", "危害未成年人。"
    PUBLIC_SECURITY = "risk_for_public_security", "Terrorism or other danger to the public.", "危害公共安全。"
    SCAMS = "scams_and_fraud", "Deception for money.", "诈骗。"
    SELF_HARM = "self_harm", "Suicide or self-injury.", "自残自杀。"
    UNSAFE_PRODUCTS = "unsafe_and_prohibited_products", "Goods that may not be sold.", "违禁与不安全商品。"
    VIOLENCE = "violence", "Violence shown, threatened or called for.", "暴力。"
    OTHER_TERMS = "other_violation_tc", "Another breach of the platform's terms.", "违反平台其他规则。"
    NOT_SPECIFIED = "not_specified", "The reporter named no category.", "未说明类别。"

    @property
    def complaint_class(self) -> str:
        """The class of the Chinese national complaint centre that this category is counted under."""
        return _COMPLAINT_CLASSES.get(self, "其他")

    @property
    def platform_code(self) -> str:
        """The platform's own code of the category, as its reports and appeals quote it."""
        return f"JB-{list(Category).index(self) + 1:02d}"


_COMPLAINT_CLASSES = {
    Category.CYBER_VIOLENCE: "网络侵权",
    Category.CYBER_VIOLENCE_AGAINST_WOMEN: "网络侵权",
    Category.DATA_PROTECTION: "网络侵权",
    Category.INTELLECTUAL_PROPERTY: "网络侵权",
    Category.SPEECH: "网络暴力与歧视",
    Category.CIVIC_DISCOURSE: "网络谣言",
    Category.MINORS: "涉未成年人",
    Category.PUBLIC_SECURITY: "暴恐与危害公共安全",
    Category.VIOLENCE: "暴恐与危害公共安全",
    Category.SCAMS: "网络诈骗",
    Category.UNSAFE_PRODUCTS: "违禁品",
    Category.CONSUMER_INFORMATION: "虚假信息",
}


class PriorityClass(IntEnum):
    """How soon a report is looked at: the lower, the sooner. It never says what is decided."""

    P0 = 0
    P1 = 1
    P2 = 2
    P3 = 3
    P4 = 4

    @property
    def sentence(self) -> str:
        """What the class is for."""
        return _CLASS_SENTENCES[self]

    @property
    def label(self) -> str:
        """The class as it is written on the wire: `P0` to `P4`."""
        return self.name


_CLASS_SENTENCES = {
    PriorityClass.P0: "Immediate: an attested police report within quota and territory, and nothing else.",
    PriorityClass.P1: "Urgent: other flagged sources within their remit, and harm that cannot wait.",
    PriorityClass.P2: "High: flagged sources outside their remit.",
    PriorityClass.P3: "Normal: the rest.",
    PriorityClass.P4: "Low: sources whose reports are mostly refused.",
}


class Verdict(Word):
    """What a reviewer finds."""

    ILLEGAL = "illegal", "The content breaks the law.", "内容违法。"
    AGAINST_TERMS = "against_terms", "The content breaks the platform's rules.", "内容违反平台规则。"
    NO_VIOLATION = "no_violation", "The content may stay as it is.", "未发现违规。"


class Action(Word):
    """What is done about a violation."""

    REMOVE = "remove", "The content is taken down.", "删除内容。"
    DISABLE_ACCESS = "disable_access", "The content can no longer be seen.", "屏蔽内容。"
    DEMOTE = "demote", "The content is no longer recommended.", "降低推荐。"
    AGE_RESTRICT = "age_restrict", "The content is for adults only.", "限制年龄。"
    LABEL = "label", "The content carries a warning.", "添加提示标签。"
    LIMIT_INTERACTION = "limit_interaction", "Comments and sharing are limited.", "限制互动。"
    SUSPEND_ACCOUNT = "suspend_account", "The account is suspended for a time.", "暂停账号。"
    TERMINATE_ACCOUNT = "terminate_account", "The account is closed.", "封禁账号。"
    SUSPEND_MONETISATION = "suspend_monetisation", "The account earns nothing for a time.", "暂停收益。"


SEVERE_ACTIONS = frozenset({Action.SUSPEND_ACCOUNT, Action.TERMINATE_ACCOUNT})


class CaseState(Word):
    """Where a case stands; each arrow is named at the state it leaves."""

    QUEUED = "queued", "Waits to be claimed; leaves by claim.", "等待领取。"
    CLAIMED = "claimed", "A reviewer holds it; leaves by decision, release or the lease's end.", "审核员处理中。"
    DECIDED = "decided", "Decided; a case is never reopened, a later report may open another.", "已作出决定。"


class CaseKind(Word):
    """Why a case exists."""

    REPORT = "report", "Somebody reported the item.", "因举报而立案。"


class Lane(Word):
    """Which topic a report came by; the lane is the source's at every hop."""

    FLAGGED = "flagged", "The lane of flagged sources.", "标记来源通道。"
    PUBLIC = "public", "The lane of everybody else.", "公众通道。"


class SourceStatus(Word):
    """Whether a source may report."""

    ACTIVE = "active", "The source may report.", "启用。"
    SUSPENDED = "suspended", "The source may not report until it is resumed.", "暂停。"


class Standing(Word):
    """What an attesting key vouches for about a source's use of its lane, at the moment of reception."""

    GOOD = "good", "Active, within quota and territory.", "正常。"
    SUSPENDED = "suspended", "The source is suspended.", "已暂停。"
    OVER_QUOTA = "over_quota", "Its reports of the day exceed its quota.", "超出当日配额。"
    OUT_OF_TERRITORY = "out_of_territory", "The report is of another region than the source's.", "超出辖区。"
    OUT_OF_EXPERTISE = "out_of_expertise", "The category is none of those the source is known for.", "超出专业领域。"
    UNKNOWN = "unknown", "No registry entry for this source.", "来源未登记。"


class Look(Word):
    """How somebody looked at the log, at cases or at legal holds."""

    SEARCH = "search", "A search of the log.", "检索日志。"
    STORY = "story", "The story of a report.", "阅读举报经过。"
    RECEIPT = "receipt", "The receipt of a report.", "获取举报回执。"
    PROOF = "proof", "The proof of an entry.", "获取条目证明。"
    BUNDLE = "bundle", "A bundle of entries.", "获取条目包。"
    EXPORT = "export", "An export of the log.", "导出日志。"
    CASE = "case", "One case with its reports.", "查看案件。"
    CASES = "cases", "A list of cases.", "查看案件列表。"
    HOLDS = "holds", "The list of legal holds.", "查看法律保全列表。"


class AlertCode(Word):
    """What an alert in the log warns of."""

    NO_ATTESTATION = "no_attestation", "A record on the flagged lane without attestation.", "缺少认证签名。"
    BAD_ATTESTATION = "bad_attestation", "An attestation that does not fit its record.", "认证签名无效。"
    UNKNOWN_ATTESTER = "unknown_attester", "An attestation by a key that is not registered.", "签名密钥未登记。"
    ATTESTER_KIND = "attester_kind", "An attester vouched for a kind of source it may not vouch for.", "签名方越权。"
    SUSPENDED_SOURCE = "suspended_source", "An attested report of a suspended source.", "来源已被暂停。"
    OVERLOAD = "overload", "More arrives than is decided: the longest waits grow.", "来件超过处理能力。"


class Basis(Word):
    """By what the reports of an erasure were found."""

    REPORTER = "reporter", "All reports of one reporter.", "某举报人的全部举报。"
    CONTENT = "content", "All reports about one item.", "针对某一内容的全部举报。"
    REPORTS = "reports", "Reports named one by one.", "逐一指定的举报。"
    RETENTION = "retention", "Reports kept for as long as their class is.", "已到该等级保存期限的举报。"
