"""What items of the demonstration say and what people write about them, in our own words, Chinese and English.

Nothing here stood on any platform. `{handle}` is in every text, so that no two items say the same.
"""

from dataclasses import dataclass

from schemas.vocabulary import Category


@dataclass(frozen=True)
class Texts:
    """Of one category in one language: what the item says, and what a reporter writes."""

    excerpts: tuple[str, ...]
    explanations: tuple[str, ...]


CHINESE: dict[Category, Texts] = {
    Category.ANIMAL_WELFARE: Texts(
        ("{handle}直播把小猫关在{number}厘米的盒子里", "看{handle}怎么教训不听话的狗"),
        ("{handle}在虐待动物", "小猫在{handle}的视频里一直惨叫"),
    ),
    Category.CONSUMER_INFORMATION: Texts(
        ("{handle}家特价{sum}元，点进去要再付运费{number}元", "{handle}：纯手工，其实是流水线出来的"),
        ("{handle}标的价格和结账的不一样", "{handle}没写店家名字和退货办法"),
    ),
    Category.CYBER_VIOLENCE: Texts(
        ("大家去{handle}楼下留言，刷满{number}条为止", "{handle}这种人就该被骂到退网"),
        ("有人组织人围攻{handle}", "{handle}的评论区全是辱骂"),
    ),
    Category.CYBER_VIOLENCE_AGAINST_WOMEN: Texts(
        ("女司机{handle}，看一眼就知道又要出事", "给{handle}的身材打{number}分，不能再多"),
        ("拿{handle}的性别取笑", "{handle}未经本人同意发她的照片"),
    ),
    Category.DATA_PROTECTION: Texts(
        ("{handle}住{place}，门牌{number}，大家去问候他", "{handle}的身份证照片在这里，自己存"),
        ("{handle}的住址和电话被公开了", "{handle}发了别人的聊天记录"),
    ),
    Category.SPEECH: Texts(
        ("{place}来的都一个样，{handle}也不例外", "{handle}说那个地方的人不配坐这趟车"),
        ("{handle}在地域歧视", "这条是{handle}煽动仇恨的话"),
    ),
    Category.INTELLECTUAL_PROPERTY: Texts(
        ("{handle}高清全集{number}分钟，抢先看", "原版图案的包，{handle}只要{sum}元"),
        ("{handle}搬运了我的视频", "{handle}用别人的商标卖货"),
    ),
    Category.CIVIC_DISCOURSE: Texts(
        ("{handle}爆料：{place}明天全城停水，速转", "内部消息，{handle}：投票已经改了{number}张"),
        ("{handle}发的是谣言，已经辟谣", "{handle}用一批小号带节奏"),
    ),
    Category.MINORS: Texts(
        ("{handle}带{number}岁的孩子直播到凌晨要礼物", "小朋友快来，{handle}教你瞒着家长充值{sum}元"),
        ("{handle}引诱未成年人充值", "{handle}让孩子拍不合适的视频"),
    ),
    Category.PUBLIC_SECURITY: Texts(
        ("{handle}：{place}广场{number}点见，带上家伙", "{handle}教你用厨房里的东西做会响的"),
        ("{handle}号召去闹事", "{handle}讲怎么做危险物品"),
    ),
    Category.SCAMS: Texts(
        (
            "{handle}：先转{sum}元解冻，马上返{number}倍",
            "刷单日结{sum}元，加{handle}",
            "{handle}客服，您的快递丢了，点链接领赔偿",
        ),
        ("{handle}骗我转了{sum}元", "{handle}冒充客服", "{handle}要银行卡号和验证码"),
    ),
    Category.SELF_HARM: Texts(
        ("{handle}：不想再看到明天的太阳了", "{handle}的第{number}天，还是没有人听"),
        ("担心{handle}会出事", "{handle}的话让人很不安，请看看"),
    ),
    Category.UNSAFE_PRODUCTS: Texts(
        ("{handle}电子烟，{sum}元三支，不问年龄", "减肥茶{number}天见效，{handle}没有批号的才有用"),
        ("{handle}卖没有批号的药", "{handle}卖电子烟给学生"),
    ),
    Category.VIOLENCE: Texts(
        ("{handle}：下次见面我让你站不起来", "{place}打架现场，{handle}拍了{number}秒"),
        ("{handle}威胁要打人", "{handle}的视频很血腥"),
    ),
    Category.OTHER_TERMS: Texts(
        ("{handle}互粉互赞，加我拉群，满{number}人", "{handle}同一条广告发了{number}遍"),
        ("{handle}一直刷屏", "{handle}是机器号"),
    ),
    Category.NOT_SPECIFIED: Texts(
        ("{handle}的第{number}条动态", "{handle}：今天的{place}"),
        ("看{handle}不舒服", "请看看{handle}"),
    ),
}

ENGLISH: dict[Category, Texts] = {
    Category.ANIMAL_WELFARE: Texts(
        ("{handle} keeps {number} birds in one cage", "watch {handle} teach the dog a lesson"),
        ("{handle} hurts animals", "the puppy in {handle}'s video is in pain"),
    ),
    Category.CONSUMER_INFORMATION: Texts(
        ("{handle}: {sum} off, shipping {number} more at checkout", "{handle} handmade, straight from the factory"),
        ("{handle} hides the real price", "{handle} names no trader"),
    ),
    Category.CYBER_VIOLENCE: Texts(
        ("everyone go tell {handle} what you think, {number} comments by noon", "{handle} should be shouted off here"),
        ("people are being sent after {handle}", "{handle} gets nothing but insults"),
    ),
    Category.CYBER_VIOLENCE_AGAINST_WOMEN: Texts(
        ("{handle} drives like they all do", "rate {handle}, {number} is generous"),
        ("mocks {handle} for being a woman", "her photo was posted by {handle} without asking"),
    ),
    Category.DATA_PROTECTION: Texts(
        ("{handle} lives in {place}, door {number}, say hello", "scan of {handle}'s passport, save it"),
        ("{handle}'s address is shown", "{handle} posted somebody's messages"),
    ),
    Category.SPEECH: Texts(
        ("people from {place} are all like {handle}", "{handle} says they should ride another bus"),
        ("{handle} stirs up hate", "{handle} insults people for where they come from"),
    ),
    Category.INTELLECTUAL_PROPERTY: Texts(
        ("{handle} full film, {number} minutes, before everyone else", "{handle} bags with the real pattern, {sum}"),
        ("{handle} took my video", "{handle} sells under another's mark"),
    ),
    Category.CIVIC_DISCOURSE: Texts(
        ("{handle}: water in {place} is cut off tomorrow, pass it on", "{handle} knows {number} votes were changed"),
        ("{handle} spreads a rumour", "{handle} runs a dozen accounts"),
    ),
    Category.MINORS: Texts(
        ("{handle} streams at night with a {number} year old", "kids, {handle} shows you how to pay {sum} in secret"),
        ("{handle} makes children pay", "a child should not be in {handle}'s video"),
    ),
    Category.PUBLIC_SECURITY: Texts(
        ("{handle}: {place} square at {number}, bring something", "{handle} makes a loud thing out of kitchen things"),
        ("{handle} calls for a riot", "{handle} explains dangerous things"),
    ),
    Category.SCAMS: Texts(
        ("{handle}: pay {sum} first, get {number} times back", "{handle} support: your parcel is lost, click to claim"),
        ("{handle} took {sum} from me", "{handle} pretends to be support"),
    ),
    Category.SELF_HARM: Texts(
        ("{handle}: I do not want to see tomorrow", "day {number} and nobody hears {handle}"),
        ("I worry about {handle}", "please look after {handle}"),
    ),
    Category.UNSAFE_PRODUCTS: Texts(
        ("{handle} vapes, three for {sum}, no questions", "{handle} tea, thin in {number} days, no label needed"),
        ("{handle} sells medicine without a label", "{handle} sells to schoolchildren"),
    ),
    Category.VIOLENCE: Texts(
        ("{handle}: next time you will not walk home", "the fight in {place}, {number} seconds by {handle}"),
        ("{handle} threatens somebody", "{handle}'s video is bloody"),
    ),
    Category.OTHER_TERMS: Texts(
        ("{handle} follow for follow, {number} in the group", "{handle} posts one advert {number} times"),
        ("{handle} floods the page", "{handle} is a bot"),
    ),
    Category.NOT_SPECIFIED: Texts(
        ("{handle}, post {number}", "{handle}: {place} today"),
        ("{handle} makes me uneasy", "please look at {handle}"),
    ),
}

HANDLES = {
    "zh": (
        "晨光小店", "云上的鹿", "老城食客", "北岸听风", "橘子汽水", "山里人家", "夜班司机", "纸飞机",
        "半糖拿铁", "海边的门", "青石巷", "小满日记", "三号仓库", "慢车道", "雨后竹", "灯下书",
    ),
    "en": (
        "quiet_river", "paper_kite", "north_pier", "half_sugar", "night_bus", "old_town", "green_door", "slow_lane",
        "tin_roof", "blue_hour", "rain_stop", "desk_lamp", "third_shed", "salt_road", "first_train", "open_gate",
    ),
}  # fmt: skip

PLACES = {
    "zh": ("东湖", "南站", "西街", "北岸", "老城", "新区", "河口", "山前"),
    "en": ("East Lake", "South Station", "West Street", "North Pier", "Old Town", "New Quarter", "Mouth", "Hillside"),
}
