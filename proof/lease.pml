/*
 * The lease, fence and settle protocol of queue-worker, for spin. The SQL is in supabase/migrations, the words in
 * docs/protocol.md; README.md beside this file says what is proved and what is left out. Each `d_step` is one
 * transaction: the SQL functions lock the message's row first, so that nothing comes in between.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 1
#endif
#define ATTEMPTS 2   /* maxAttempts */
#define DEATHS   2   /* maxInterruptions */
#define SUSPECT  2   /* interruptions from which on a message runs alone */
/* What the surroundings may do to us, in all: */
#ifndef KILLS
#define KILLS    1   /* a worker is killed from outside, or the answer of a read gets lost */
#endif
#ifndef STALLS
#define STALLS   1   /* a lease runs out while its worker still lives */
#endif
#ifndef PUTOFFS
#define PUTOFFS  1   /* a message is snoozed or released */
#endif
#ifndef LATE
#define LATE     1   /* heartbeats, and settles whose answer is lost, of one delivery: 0 or 1 each */
#endif
#define DELIVERIES 14 /* more than there can be; asserted */

mtype = { ARCHIVE, DELETE, RETRY, SNOOZE, RELEASE, DEAD }   /* outcomes */
mtype = { OK, ALREADY, GONE, LOST }                         /* answers of settle */
mtype = { TOGETHER, ALONE, NEVER }                          /* verdicts of engine/budgets.ts */

/* The tables: pgmq.q_<queue> (hidden: vt > now), pgmq.a_<queue>, pgmq.q_<queue>_dlq, and our outcomes and isolations. */
typedef Message {
  bit queued, archived, dead, deleted;
  bit is_hidden;
  byte read_ct;
  mtype outcome[DELIVERIES];
  byte recorded, failures;     /* rows in outcomes, and of those the retries: counted, as the SQL counts */
  bit isolated[DELIVERIES]
}
Message message[MESSAGES];

/* What a worker holds of a message, in its own memory: gone when it dies. No delivery: 0. */
typedef Lease {
  byte delivery;
  mtype verdict;
  bit last;                    /* one more failure is the last */
  bit is_alone;                /* isolate answered true */
  bit has_extended;            /* a heartbeat each: that a run ends is the time limit's doing */
  mtype wanted;                /* the outcome to settle */
  mtype answer;                /* what settle said; the worker may not have got it yet */
  bit has_repeated
}
typedef Worker { Lease lease[MESSAGES] }
Worker worker[WORKERS];

/* Ghosts: nothing decides by them, only the properties look at them. */
typedef Ghost {
  byte newest;                 /* the delivery that the latest read gave out */
  bit is_ended[DELIVERIES];    /* a settle of this delivery had its effect */
  bit is_poison;               /* running it kills its process */
  byte putoffs;
  byte died_alone, interruptions; /* as the latest read counted them */
  bit blamed                   /* dead for interruptions */
}
Ghost ghost[MESSAGES];
byte kills, stalls;
bit has_started;

#define M message[m]
#define L worker[w].lease[m]
#define G ghost[m]

/* queue_worker.lock_deliveries: the fence. The mutations show that each half is needed. */
#ifdef NO_DELIVERY_FENCE
#define IS_NEWEST(d) true
#else
#define IS_NEWEST(d) (M.read_ct == d)
#endif
#ifdef NO_OUTCOME_CHECK
#define HAS_NO_OUTCOME(d) true
#elif defined(REPEAT_CHARGES)
#define HAS_NO_OUTCOME(d) (M.outcome[d] == 0 || M.outcome[d] == L.wanted)
#else
#define HAS_NO_OUTCOME(d) (M.outcome[d] == 0)
#endif
#define PASSES(d) (M.queued && IS_NEWEST(d) && HAS_NO_OUTCOME(d))

/* remove_messages takes away what it archives; the failure that uses up the budget is not retried. */
#ifdef ARCHIVE_LEAVES
#define STAYS 1
#else
#define STAYS 0
#endif
#ifdef RETRY_FOREVER
#define FAILED RETRY
#else
#define FAILED (L.last -> DEAD : RETRY)
#endif

/* To see whether a call has changed anything. */
byte old_place, old_recorded;
bit old_hidden;
#define PLACE (M.queued + 2 * M.archived + 4 * M.dead + 8 * M.deleted)
inline remember() { old_place = PLACE; old_recorded = M.recorded; old_hidden = M.is_hidden }
inline forget() { old_place = 0; old_recorded = 0; old_hidden = 0 }
#define HAS_CHANGED (old_place != PLACE || old_recorded != M.recorded || old_hidden != M.is_hidden)

/* queue_worker.read_queue with history, and engine/budgets.ts (judge). */
inline read() {
  d_step {
    M.is_hidden = 1;
    M.read_ct++;
    assert(M.read_ct < DELIVERIES);
    G.newest = M.read_ct;
    assert(M.read_ct - 1 >= M.recorded);   /* no delivery is recorded twice */
    G.interruptions = M.read_ct - 1 - M.recorded;
    G.died_alone = 0;
    i = 1;
    do
    :: i < M.read_ct -> G.died_alone = G.died_alone + (M.isolated[i] && M.outcome[i] == 0); i++
    :: else -> break
    od;
    i = 0;
    L.delivery = M.read_ct;
    L.last = (M.failures + 1 >= ATTEMPTS);
#ifdef NO_ISOLATION
    L.verdict = ((M.failures >= ATTEMPTS || G.interruptions >= DEATHS) -> NEVER : TOGETHER)
#elif defined(NO_BUDGET)
    L.verdict = (G.interruptions >= SUSPECT -> ALONE : TOGETHER)
#else
    L.verdict = ((M.failures >= ATTEMPTS || G.died_alone >= DEATHS) -> NEVER :
      (G.interruptions >= SUSPECT -> ALONE : TOGETHER))
#endif
  }
}

/* queue_worker.extend: the heartbeat. It may arrive late, after the settle of its own delivery. */
inline extend() {
  d_step {
    L.has_extended = 1;
    remember();
    if
    :: PASSES(L.delivery) -> M.is_hidden = 1
    :: else -> skip
    fi;
    assert(!HAS_CHANGED || (L.delivery == G.newest && !G.is_ended[L.delivery]));
    forget()
  }
}

/* The worker lets go of one delivery; or dies, and forgets all it held. */
inline drop(x) {
  worker[w].lease[x].delivery = 0; worker[w].lease[x].verdict = 0; worker[w].lease[x].last = 0;
  worker[w].lease[x].is_alone = 0; worker[w].lease[x].has_extended = 0; worker[w].lease[x].wanted = 0;
  worker[w].lease[x].answer = 0; worker[w].lease[x].has_repeated = 0
}
inline die() {
  d_step {
    i = 0;
    do
    :: i < MESSAGES -> drop(i); i++
    :: else -> break
    od;
    i = 0
  }
}

/* queue_worker.isolate: extends, and records that the message runs alone. False: the lease is lost. */
inline isolate() {
  d_step {
    if
    :: PASSES(L.delivery) -> M.is_hidden = 1; M.isolated[L.delivery] = 1; L.is_alone = 1
    :: else -> drop(m)
    fi
  }
}

/* queue_worker.record_outcomes */
inline record() { M.outcome[L.delivery] = L.wanted; M.recorded++ }

#define IS_DONE ((L.wanted != ARCHIVE || (M.archived && M.read_ct == L.delivery)) && (L.wanted != DELETE || M.deleted) \
  && (L.wanted == ARCHIVE || L.wanted == DELETE || M.outcome[L.delivery] == L.wanted) && (L.wanted != DEAD || M.dead))

/* queue_worker.settle_queue: remove_messages, bury_messages or hide_messages behind the fence, else late_status. */
inline settle() {
  d_step {
    remember();
    before = L.answer;
    if
    :: PASSES(L.delivery) ->
      L.answer = OK;
      if
      :: L.wanted == ARCHIVE -> M.queued = STAYS; M.archived = 1
      :: L.wanted == DELETE -> M.queued = 0; M.deleted = 1
      :: L.wanted == DEAD -> record(); M.queued = 0; M.dead = 1; G.blamed = (L.verdict == NEVER)
      :: L.wanted == RETRY -> record(); M.failures++; M.is_hidden = 1
      :: L.wanted == SNOOZE -> record(); M.is_hidden = 1
      :: L.wanted == RELEASE -> record(); M.is_hidden = 0
      fi
    :: else ->
      if
      :: M.outcome[L.delivery] != 0 -> L.answer = (M.outcome[L.delivery] == L.wanted -> ALREADY : LOST)
      :: else ->
        if
        :: L.wanted == ARCHIVE && M.archived && M.read_ct == L.delivery -> L.answer = ALREADY
        :: L.wanted == DELETE && !M.queued -> L.answer = GONE
        :: else -> L.answer = LOST
        fi
      fi
    fi;
    /* A settle by a stale worker has no effect, and neither has one that is repeated. */
    assert(!HAS_CHANGED || (L.delivery == G.newest && !G.is_ended[L.delivery]));
    assert((L.answer == OK) == HAS_CHANGED);
    /* A repeat is told the truth about the first time. */
    assert(before != OK || L.answer == (L.wanted == DELETE -> GONE : ALREADY));
    assert(before != LOST || L.answer == LOST || L.answer == GONE);
    /* Told that it is done, it is so. */
    assert(!(L.answer == OK || L.answer == ALREADY) || IS_DONE);
    if
    :: L.answer == OK -> G.is_ended[L.delivery] = 1
    :: else -> skip
    fi;
    before = 0;
    forget()
  }
}
#define MAY_START (L.delivery != 0 && L.wanted == 0 && (L.verdict == TOGETHER || L.is_alone))

/* Suspects of a worker run one after the other (engine/isolation.ts). */
#if MESSAGES > 1
#define O worker[w].lease[1 - m]
#ifdef TURN_ENDS_WITH_RUN
#define IS_MY_TURN (!(O.is_alone && O.wanted == 0))
#else
#define IS_MY_TURN (!O.is_alone)
#endif
#else
#define IS_MY_TURN true
#endif

/* A worker's slot for one message: any of these, in any order. One that stalls is one that others overtake. */
proctype Work(byte w, m) {
  byte i;
  mtype before;
end:
  do
  :: atomic { L.delivery == 0 && M.queued && !M.is_hidden -> read() }
  :: atomic { L.delivery == 0 && M.queued && !M.is_hidden && kills < KILLS -> kills++; read(); drop(m) } /* answer lost */
  :: atomic { L.delivery != 0 && L.answer == 0 && kills < KILLS -> kills++; die() }

  /* How a run ends: engine/outcomes.ts. Poison takes the process along, and with it all that it held. */
  :: atomic { MAY_START && !G.is_poison ->
      if
      :: L.wanted = ARCHIVE
      :: LATE -> L.wanted = DELETE
      :: L.wanted = FAILED
      :: G.putoffs < PUTOFFS -> G.putoffs++; L.wanted = SNOOZE
      :: G.putoffs < PUTOFFS -> G.putoffs++; L.wanted = RELEASE
      fi }
  :: atomic { MAY_START && G.is_poison -> die() }
  :: atomic { MAY_START && G.is_poison && L.is_alone -> L.wanted = FAILED } /* only the child died */
  :: atomic { L.delivery != 0 && L.wanted == 0 && L.verdict == ALONE && !L.is_alone && IS_MY_TURN -> isolate() }
  :: atomic { L.delivery != 0 && L.wanted == 0 && L.verdict == NEVER -> L.wanted = DEAD }

  :: atomic { LATE && L.delivery != 0 && !L.has_extended -> extend() }
  :: atomic { L.wanted != 0 && L.answer == 0 -> settle() }
  :: atomic { LATE && L.answer != 0 && !L.has_repeated -> L.has_repeated = 1; settle() } /* its answer was lost */
  :: atomic { L.answer != 0 -> drop(m) }                                        /* it arrived */
  od
}

/* Time: what is hidden becomes visible, by itself while nobody holds it. */
#if WORKERS == 3
#define HOLDS(m) (HOLDS_AT(0, m) || HOLDS_AT(1, m) || HOLDS_AT(2, m))
#elif WORKERS == 2
#define HOLDS(m) (HOLDS_AT(0, m) || HOLDS_AT(1, m))
#else
#define HOLDS(m) HOLDS_AT(0, m)
#endif
#define HOLDS_AT(w, m) (worker[w].lease[m].delivery == message[m].read_ct && message[m].read_ct != 0 \
  && message[m].outcome[message[m].read_ct] == 0)

proctype Clock(byte m) {
end:
  do
#ifndef NO_WAKING
  :: d_step { M.queued && M.is_hidden && !HOLDS(m) -> M.is_hidden = 0 }
#endif
  :: d_step { M.queued && M.is_hidden && HOLDS(m) && stalls < STALLS -> stalls++; M.is_hidden = 0 }
  od
}

init {
  byte m, w;
  atomic {
    do
    :: m < MESSAGES ->
      M.queued = 1;   /* queue_worker.send_one */
      if
      :: G.is_poison = 1
      :: m > 0 || MESSAGES == 1 -> G.is_poison = 0
      fi;
      run Clock(m);
      w = 0;
      do
      :: w < WORKERS -> run Work(w, m); w++
      :: else -> break
      od;
      m++
    :: else -> break
    od;
    m = 0; w = 0;
    has_started = 1
  }
}

#define ALL(P) (P(0) && P((MESSAGES - 1)))

/* No message vanishes, and none is in two places. */
#define IN_ONE_PLACE(m) (message[m].queued + message[m].archived + message[m].dead + message[m].deleted == 1)
ltl one_place { [] (!has_started || ALL(IN_ONE_PLACE)) }

/* The failure that uses up the budget is the dead letter itself. */
#define FAILURES_BOUNDED(m) (message[m].failures < ATTEMPTS)
ltl failures_bounded { [] ALL(FAILURES_BOUNDED) }

#ifdef NO_ISOLATION
#define DEATHS_BOUNDED(m) (ghost[m].interruptions <= DEATHS + KILLS + STALLS)
#else
#define DEATHS_BOUNDED(m) (ghost[m].died_alone <= DEATHS)
#endif
ltl interruptions_bounded { [] ALL(DEATHS_BOUNDED) }

/* Only what kills is blamed for it, as long as the surroundings alone do not use up the budget. */
#define BLAME_IS_JUST(m) (!ghost[m].blamed || ghost[m].is_poison || KILLS + STALLS >= DEATHS)
ltl innocents_live { [] ALL(BLAME_IS_JUST) }

/* What is not snoozed or released for ever ends (PUTOFFS bounds both). */
#define HAS_ENDED(m) (message[m].archived || message[m].dead || message[m].deleted)
ltl all_end { <> ALL(HAS_ENDED) }
