"""A report's story in Chinese, as it is written on the mainland: one sentence for each type of entry."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from schemas.activity import ALERT, POLICY_LOADED, VIEWED
from schemas.case import CaseChange
from schemas.decision import MADE
from schemas.erasure import DISCLOSED, DONE, HOLD_LIFTED, HOLD_PLACED, ORDERED
from schemas.outcome import REACHED
from schemas.report import SUBMITTED
from schemas.source import ATTESTER_CHANGED, SOURCE_CHANGED
from schemas.triage import TRIAGED
from schemas.vocabulary import (
    Action,
    AlertCode,
    Basis,
    Category,
    Channel,
    ContentType,
    Lane,
    Look,
    SourceKind,
    SourceStatus,
    Standing,
    Verdict,
    Word,
)
from services.audit.leaf import UNREADABLE
from services.audit.story_facts import Fact, Scene, Stage, Tongue, Waited, Wording, meaning, offset_of, parts_of_time

# The ten heavenly stems, by which Chinese texts call people whom they do not name.
_STEMS: Final = "甲乙丙丁戊己庚辛壬癸"
_UNITS: Final = {"d": "天", "h": "小时", "min": "分", "s": "秒"}
_ROLES: Final = {
    "reviewer": "审核员",
    "senior": "高级审核员",
    "supervisor": "主管",
    "auditor": "审计员",
    "admin": "管理员",
    "platform": "平台账号",
    "police": "网警账号",
}
_CHANGES: Final = {
    "added": "新增",
    "suspended": "暂停",
    "resumed": "恢复",
    "key_added": "新增密钥",
    "key_revoked": "吊销密钥",
    "announced": "重新公布",
}


def _when(moment: datetime, stage: Stage) -> str:
    local = stage.local(moment)
    return f"{local.year}年{local.month}月{local.day}日{local:%H:%M:%S}（{offset_of(local)}）"


def _long(seconds: int) -> str:
    return "".join(f"{number}{_UNITS[unit]}" for number, unit in parts_of_time(seconds))


def _means(words: type[Word], value: str) -> str:
    return meaning(words, value, chinese=True)


def _person(role: str, name: str, stage: Stage) -> str:
    turns, stem = divmod(stage.cast.number(name), len(_STEMS))
    return f"{role}{_STEMS[stem]}{turns + 1 if turns else ''}"


def _reviewer(fact: Fact, stage: Stage) -> str:
    return _person("审核员", fact.actor, stage)


def _span(scene: Scene, stage: Stage) -> str:
    if scene.count == 1:
        return _when(scene.first.at, stage)
    return f"{_when(scene.first.at, stage)}至{_when(scene.last.at, stage)}"


def _others(scene: Scene) -> str:
    return f"针对同一内容的另外{scene.count}件举报"


def _submitted(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    if scene.again:
        return f"{_when(fact.at, stage)}，同一编号的举报再次提交。"
    source = _means(SourceKind, fact.word("source_kind"))
    if fact.source_id and fact.detail.get("lane") == Lane.FLAGGED:
        source += f"，登记编号 {fact.source_id}"
    words = [
        (
            f"{_when(fact.at, stage)}，举报经{_means(Lane, fact.word('lane'))}提交，"
            f"方式：{_means(Channel, fact.word('channel'))}；"
            f"自述来源：{source}。"
        ),
        (
            f"被举报内容为 {fact.content_id}（{_means(ContentType, fact.word('content_type'))}），"
            f"类别为 {fact.word('category')}（{_means(Category, fact.word('category'))}）。"
        ),
    ]
    if "territory" in fact.detail:
        words.append(f"涉及地区：{fact.word('territory')}。")
    if "endorses" in fact.detail:
        words.append(f"附议举报 {fact.word('endorses')}。")
    if fact.hidden:
        words.append("举报人及其陈述不在日志中，日志只存其承诺值。")
    return "".join(words)


def _triaged(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    again = "再次" if scene.again else ""
    target = fact.detail.get("target_seconds")
    words = [
        f"{_when(fact.at, stage)}，依据策略 {fact.word('policy')} 第 {fact.word('version')} 版"
        f"规则 {fact.word('rule')}，"
        f"{again}定为 {fact.word('class')} 级，进入队列 {fact.word('queue')}"
        + (f"，应于收到后{_long(target)}内作出决定。" if isinstance(target, int) else "。")
    ]
    if "standing" in fact.detail:
        words.append(
            f"该记录由 {fact.word('attester')} 以密钥 {fact.word('key_id')} 认证；"
            f"来源状况：{_means(Standing, fact.word('standing'))}。"
        )
    else:
        words.append("该记录未经认证，来源仅为其自述。")
    inputs = fact.detail.get("inputs")
    if isinstance(inputs, Mapping) and inputs:
        words.append("规则所依据：" + "，".join(f"{name} = {_value(inputs[name])}" for name in inputs) + "。")
    return "".join(words)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    return str(value)


def _case_opened(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    who = "本件举报" if scene.own else "针对同一内容的另一件举报"
    text = (
        f"{_when(fact.at, stage)}，因{who}就内容 {fact.content_id} 立案，案件 {fact.case_id}，"
        f"{fact.word('class')} 级，队列 {fact.word('queue')}"
    )
    due = fact.time("due_at")
    if due is not None:
        text += f"，应于{_when(due, stage)}前作出决定"
    if "previous_case_id" in fact.detail:
        text += f"；该内容此前曾立案件 {fact.word('previous_case_id')}"
    return text + "。"


def _joined(scene: Scene, stage: Stage) -> str:
    who = "本件举报" if scene.own else _others(scene)
    return (
        f"{_span(scene, stage)}，{who}并入未结案件 {scene.first.case_id}，该案至此共有"
        f"{scene.last.word('report_count')}件举报。"
    )


def _lifted(scene: Scene, stage: Stage) -> str:
    fact = scene.last
    who = "本件举报" if scene.own else _others(scene)
    text = f"{_span(scene, stage)}，{who}并入案件，案件升为 {fact.word('class')} 级"
    due, ends = fact.time("due_at"), fact.time("expires_at")
    if due is not None:
        text += f"，应于{_when(due, stage)}前作出决定"
    if ends is not None:
        text += f"；正在处理者的期限缩短至{_when(ends, stage)}"
    return text + "。"


def _attached(scene: Scene, stage: Stage) -> str:
    who = "本件举报" if scene.own else _others(scene)
    return f"{_span(scene, stage)}，{who}在决定之后到达，以已有决定答复。"


def _claimed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    text = f"{_when(fact.at, stage)}，{_reviewer(fact, stage)}领取案件，时为 {fact.word('class')} 级"
    ends = fact.time("expires_at")
    return text + (f"，期限至{_when(ends, stage)}。" if ends is not None else "。")


def _renewed(scene: Scene, stage: Stage) -> str:
    times = "" if scene.count == 1 else f"{scene.count}次"
    ends = scene.last.time("expires_at")
    until = f"，最后延至{_when(ends, stage)}" if ends is not None else ""
    return f"{_span(scene, stage)}，{_reviewer(scene.first, stage)}续期{times}{until}。"


def _released(scene: Scene, stage: Stage) -> str:
    return f"{_when(scene.first.at, stage)}，{_reviewer(scene.first, stage)}退回案件，案件重新等待领取。"


def _expired(scene: Scene, stage: Stage) -> str:
    return f"{_when(scene.first.at, stage)}，期限届满而未作决定，案件重新等待领取。"


def _found(fact: Fact) -> str:
    text = _means(Verdict, fact.word("verdict"))
    if "violates" in fact.detail:
        text += f"，违反{fact.word('violates')}"
    actions = [_means(Action, action) for action in fact.words("actions")]
    return text + ("；措施：" + "、".join(actions) if actions else "；不采取措施")


def _decided(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    if fact.detail.get("late"):
        return f"{_span(scene, stage)}，以该决定答复在其后到达的举报。"
    if scene.again:
        return f"{_span(scene, stage)}，记录该决定的后续部分，答复该案其余举报。"
    return (
        f"{_when(fact.at, stage)}，{_reviewer(fact, stage)}作出决定：{_found(fact)}。"
        f"审核员的理由不在日志中，日志只存其承诺值。"
        f"案件为 {fact.word('class')} 级，"
        f"依据策略 {fact.word('policy')} 第 {fact.word('version')} 版规则 {fact.word('rule')}。"
    )


def _outcome(scene: Scene, stage: Stage) -> str:
    if not scene.own:
        return f"{_span(scene, stage)}，该案另外{scene.count}件举报的处理结果已发出。"
    fact = scene.first
    late = "；本件举报在决定之后到达" if fact.detail.get("late") else ""
    return f"{_when(fact.at, stage)}，处理结果已发出，供告知举报人：{_found(fact)}{late}。"


def _alert(scene: Scene, stage: Stage) -> str:
    code = scene.first.word("code")
    return f"{_span(scene, stage)}，发出警示：{_means(AlertCode, code)}（{code}）。"


def _viewed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    role = _ROLES.get(fact.word("role"), fact.word("role"))
    times = "" if scene.count == 1 else f"{scene.count}次"
    shown = sum(one.detail["answered"] for one in scene.facts if isinstance(one.detail.get("answered"), int))
    return (
        f"{_span(scene, stage)}，{_person(role, fact.actor, stage)}{times}{_means(Look, fact.word('what'))}，"
        f"共显示{shown}条。"
    )


def _policy_loaded(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    return f"{_when(fact.at, stage)}，策略 {fact.word('policy')} 第 {fact.word('version')} 版开始施行。"


def _source_changed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    region = f"，优先地区 {fact.word('region')}" if "region" in fact.detail else ""
    change = fact.word("change")
    return (
        f"{_when(fact.at, stage)}，{_person('管理员', fact.actor, stage)}变更登记来源 {fact.source_id}"
        f"（{_means(SourceKind, fact.word('kind'))}）：{_CHANGES.get(change, change)}；"
        f"此后状态：{_means(SourceStatus, fact.word('status'))}{region}。其名称与所属机关不在日志中，日志只存其承诺值。"
    )


def _attester_changed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    change = fact.word("change")
    return f"{_when(fact.at, stage)}，认证方 {fact.word('attester')} 变更：{_CHANGES.get(change, change)}。"


def _unreadable(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    return (
        f"{_when(fact.at, stage)}，主题 {fact.word('topic')} 上的一条记录无法读作事件（{fact.word('reason')}），"
        f"其内容未予采信。"
    )


def _supervisor(fact: Fact, stage: Stage) -> str:
    return _person("主管", fact.actor, stage)


def _erasure_ordered(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    basis = fact.word("basis")
    who = "保存期限规则" if basis == Basis.RETENTION else _supervisor(fact, stage)
    return (
        f"{_when(fact.at, stage)}，{who}下令删除 {fact.word('report_count')} 件举报（含本件）的内容"
        f"（{_means(Basis, basis).rstrip('。')}），为删除令 {fact.word('erasure_id')} 的第 {fact.word('part')} 部分。"
    )


def _erasure_done(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    order = f"删除令 {fact.word('erasure_id')} 的第 {fact.word('part')} 部分"
    return f"{_span(scene, stage)}，{fact.word('service')} 服务已执行{order}，改动 {fact.word('count')} 行。"


def _held_on(fact: Fact) -> str:
    if fact.report_id is not None:
        return "该举报"
    if fact.content_id is not None:
        return f"内容 {fact.content_id} "
    return "未指明的对象" if fact.source_id is None else f"举报来源 {fact.source_id} "


def _hold_placed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    return (
        f"{_when(fact.at, stage)}，{_supervisor(fact, stage)}对{_held_on(fact)}作出法律保全 {fact.word('hold_id')}，"
        f"保全期间不予删除。"
    )


def _hold_lifted(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    return (
        f"{_when(fact.at, stage)}，{_supervisor(fact, stage)}解除对{_held_on(fact)}的法律保全 {fact.word('hold_id')}。"
    )


def _entry_disclosed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    who = _person("审计员", fact.actor, stage)
    return f"{_when(fact.at, stage)}，{who}获得第 {fact.word('index')} 号条目所隐内容及其盐值。"


def _unknown(scene: Scene, stage: Stage) -> str:
    return f"{_span(scene, stage)}，日志记入类型为 {scene.first.type} 的条目。"


def _waited(waited: Waited) -> str:
    text = (
        f"自收到举报至作出决定共历时{_long(waited.total)}，其中排队{_long(waited.queued)}，"
        f"审核员处理{_long(waited.held)}"
    )
    if waited.due_at is None:
        return text + "。"
    late = int((waited.until - waited.due_at).total_seconds())
    return text + ("；未超时限。" if waited.in_time else f"；超出时限{_long(late)}。")


def _undecided(fact: Fact, stage: Stage) -> str:
    return f"截至{_when(fact.logged_at, stage)}的这一条目，日志中尚无决定。"


_WORDINGS: Final[Mapping[str, Wording]] = {
    SUBMITTED: _submitted,
    TRIAGED: _triaged,
    CaseChange.OPENED.event_type: _case_opened,
    CaseChange.JOINED.event_type: _joined,
    CaseChange.LIFTED.event_type: _lifted,
    CaseChange.ATTACHED.event_type: _attached,
    CaseChange.CLAIMED.event_type: _claimed,
    CaseChange.RENEWED.event_type: _renewed,
    CaseChange.RELEASED.event_type: _released,
    CaseChange.EXPIRED.event_type: _expired,
    MADE: _decided,
    REACHED: _outcome,
    ALERT: _alert,
    POLICY_LOADED: _policy_loaded,
    VIEWED: _viewed,
    SOURCE_CHANGED: _source_changed,
    ATTESTER_CHANGED: _attester_changed,
    UNREADABLE: _unreadable,
    ORDERED: _erasure_ordered,
    DONE: _erasure_done,
    HOLD_PLACED: _hold_placed,
    HOLD_LIFTED: _hold_lifted,
    DISCLOSED: _entry_disclosed,
}

TONGUE: Final = Tongue(_WORDINGS, _unknown, _waited, _undecided)
