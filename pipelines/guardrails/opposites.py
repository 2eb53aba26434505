"""Words that turn a claim round: pairs of which one says the contrary of the other, by stem.

Written by hand: verbs and adjectives of reports, rules and science, quantities, order in time and place, modality. A
word may stand in several pairs. Not covered: contraries that are made by a prefix are found by rule (`un-`, `non-`).
"""

from functools import lru_cache

from pipelines.guardrails.wording import key_of

_PAIRS = """
increase:decrease,reduce,decline,drop,fall,diminish,shrink,lower rise:fall,decline,drop,decrease,sink
grow:shrink,decline raise:lower,cut,reduce gain:lose,loss expand:shrink,contract,reduce strengthen:weaken
improve:worsen,deteriorate accelerate:slow,decelerate widen:narrow lengthen:shorten up:down upward:downward
more:less,fewer most:least,few,fewest high:low higher:lower highest:lowest large:small larger:smaller largest:smallest
big:small,little bigger:smaller biggest:smallest great:little,small greater:lesser,smaller long:short longer:shorter
longest:shortest tall:short wide:narrow broad:narrow deep:shallow thick:thin heavy:light fast:slow faster:slower
quick:slow early:late earlier:later earliest:latest old:new,young older:newer,younger oldest:newest,youngest young:old
ancient:modern,recent first:last former:latter before:after prior:after,later previous:next,following
begin:end,finish,stop,cease start:end,stop,finish open:close,closed,shut opening:closing continue:stop,cease,end
keep:discard,lose remain:leave,change arrive:leave,depart enter:leave,exit join:leave,quit come:go
accept:reject,refuse,decline agree:disagree,refuse allow:forbid,prohibit,prevent,ban,deny permit:forbid,prohibit,ban
approve:reject,refuse,oppose support:oppose,reject,contradict favour:oppose favor:oppose for:against
include:exclude,omit require:forbid,exempt need:optional enable:disable,prevent encourage:discourage
promote:hinder,demote help:hinder,harm protect:harm,endanger,expose win:lose,loss victory:defeat succeed:fail
success:failure successful:unsuccessful pass:fail build:destroy,demolish create:destroy construct:demolish
attack:defend buy:sell purchase:sell import:export lend:borrow send:receive give:take,receive teach:learn push:pull
love:hate like:dislike friend:enemy ally:enemy alive:dead live:die birth:death born:died bear:die marry:divorce
true:false correct:incorrect,wrong right:wrong,left real:fake,imaginary legal:illegal possible:impossible
likely:unlikely able:unable certain:uncertain safe:dangerous,unsafe public:private internal:external inside:outside
indoor:outdoor interior:exterior above:below,under,beneath over:under,below top:bottom upper:lower front:back,rear
north:south northern:southern east:west eastern:western near:far close:far,distant with:without
always:never,sometimes,rarely often:rarely,seldom,never usually:rarely,seldom frequent:rare common:rare,uncommon
all:none,some,few every:no,some both:neither,only,either everyone:nobody everything:nothing any:none some:none,all
many:few several:single,one majority:minority maximum:minimum max:min full:empty,partial complete:incomplete,partial
total:partial entire:partial whole:part same:different identical:different similar:different,dissimilar
equal:unequal,different unique:common strong:weak stronger:weaker hard:soft,easy difficult:easy,simple
simple:complex,complicated easy:hard hot:cold warm:cool,cold wet:dry bright:dark clean:dirty rich:poor wealthy:poor
expensive:cheap free:paid profit:loss credit:debit income:expense asset:liability surplus:deficit supply:demand
positive:negative good:bad,poor better:worse best:worst benefit:harm,drawback advantage:disadvantage healthy:sick,ill
optimistic:pessimistic happy:sad,unhappy male:female man:woman men:women boy:girl father:mother son:daughter
brother:sister husband:wife king:queen he:she him:her his:her major:minor senior:junior superior:inferior
primary:secondary direct:indirect active:passive,inactive permanent:temporary mandatory:optional,voluntary
compulsory:optional,voluntary voluntary:compulsory,mandatory must:may,might,need should:must formal:informal
natural:artificial physical:mental,virtual domestic:foreign,international local:global,national,remote urban:rural
civilian:military guilty:innocent convict:acquit war:peace victory:defeat liberal:conservative left:right
democratic:republican protestant:catholic majority:minority attract:repel absorb:emit,release,reflect attach:detach
connect:disconnect combine:separate,divide unite:divide,separate merge:split add:remove,subtract insert:remove,delete
install:remove,uninstall load:unload lock:unlock show:hide reveal:hide,conceal appear:disappear discover:hide
confirm:deny,refute admit:deny deny:confirm praise:criticise,criticize,condemn criticise:praise criticize:praise
reward:punish hire:fire,dismiss employ:dismiss appoint:dismiss elect:appoint release:withhold,capture,arrest
publish:withdraw delay:hasten,advance cause:prevent,result cure:cause heal:harm visible:invisible known:unknown
famous:unknown,obscure popular:unpopular simple:elaborate modern:ancient,traditional traditional:modern,novel
original:copy,final final:initial,preliminary initial:final last:first,next past:future present:absent
presence:absence exist:lack have:lack contain:lack sufficient:insufficient enough:insufficient abundant:scarce
ascend:descend upstream:downstream inner:outer dominant:recessive,subordinate majority:minority solid:liquid,gas
odd:even day:night morning:evening,afternoon summer:winter spring:autumn sunrise:sunset today:tomorrow,yesterday
weekday:weekend predator:prey host:guest,parasite employer:employee buyer:seller teacher:student doctor:patient
plaintiff:defendant ancestor:descendant cause:effect question:answer theory:practice fiction:nonfiction hero:villain
"""

_DENYING = ("un", "in", "im", "ir", "il", "non", "dis")
_SHORTEST = 4
"""Letters of a stem that a prefix may be put before."""


@lru_cache(maxsize=1)
def _table() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for pair in _PAIRS.split():
        word, others = pair.split(":")
        for other in others.split(","):
            found.setdefault(key_of(word), set()).add(key_of(other))
            found.setdefault(key_of(other), set()).add(key_of(word))
    return {word: frozenset(others - {word}) for word, others in found.items()}


@lru_cache(maxsize=1 << 14)
def opposites(key: str) -> frozenset[str]:
    """Keys of words that say the contrary of a key's word: the table's, and those with or without a denying prefix."""
    by_prefix = {prefix + key for prefix in _DENYING} if len(key) >= _SHORTEST else set()
    by_prefix |= {
        key.removeprefix(prefix)
        for prefix in _DENYING
        if key.startswith(prefix) and len(key) - len(prefix) >= _SHORTEST
    }
    return _table().get(key, frozenset()) | by_prefix
