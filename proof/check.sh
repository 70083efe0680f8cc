#!/bin/sh
# Checks all properties of lease.pml, and that the checks can fail: each built-in mistake must be found.
# Needs spin and gcc (Debian: apt-get install spin gcc), and one core; README.md tells how long.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM
failed=0

# build NAME "SPIN SWITCHES" "GCC SWITCHES": makes $work/NAME/pan
build() {
  mkdir "$work/$1" && cd "$work/$1" || exit 2
  # shellcheck disable=SC2086 # switches are words
  { spin $2 -a "$here/lease.pml" && gcc -O1 -w -DCOLLAPSE -DMEMLIM=2000 $3 -o pan pan.c; } > build.log 2>&1 || {
    cat build.log
    exit 2
  }
}

# check EXPECTED NAME "WHAT" PAN-ARGUMENTS...: EXPECTED is holds or fails
check() {
  expected=$1 model=$2 what=$3
  shift 3
  # Where a claim is checked it must be the claim that fails, not an assertion in passing.
  reason='^pan:1: '
  case " $* " in *' -N '*) reason='^pan:1: (assertion violated +!\( *!\(|acceptance cycle)' ;; esac
  cd "$work/$model" || exit 2
  ./pan -m100000 "$@" > out 2>&1
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out)
  seconds=$(sed -n 's/^pan: elapsed time \([0-9.e+-]*\) seconds.*/\1/p' out)
  # A search that was cut short proves nothing.
  if grep -q 'errors: 0' out && ! grep -qE 'max search depth too small|out of memory|aborted|truncated' out; then
    result=holds
  elif grep -qE 'errors: [1-9]' out && grep -qE "$reason" out; then
    result=fails
  else
    result=broken
  fi
  if [ "$result" = "$expected" ]; then mark=ok; else mark=WRONG failed=1; fi
  printf '%-5s %-13s %-62s %s, %s states, %s s\n' "$mark" "$model" "$what" "$result" "${states:-?}" "${seconds:-?}"
  if [ "$result" = "$expected" ]; then return; fi
  grep -E '^pan:|error' out | head -5
}

stale='a stale or repeated settle or heartbeat changes nothing'
place='no message vanishes or is in two places'
failures='failures are bounded by maxAttempts'
deaths='interruptions are bounded by maxInterruptions'
innocents='only what kills its process is blamed for interruptions'
ends='what is neither snoozed nor released for ever ends'

# Two workers and one message, with all that can go wrong.
build rivals '' -DSAFETY
check holds rivals "$stale" -noclaim
check holds rivals "$place" -N one_place
check holds rivals "$failures" -N failures_bounded
check holds rivals "$deaths" -N interruptions_bounded
build rivals-live '' -DNFAIR=3
check holds rivals-live "$ends" -a -f -N all_end

# Three workers and one message.
build three '-DWORKERS=3 -DPUTOFFS=0' -DSAFETY
check holds three "$stale" -noclaim
check holds three "$place" -N one_place

# A worker that holds a message that kills it and one that does not.
company='-DWORKERS=1 -DMESSAGES=2 -DLATE=0 -DKILLS=0 -DSTALLS=0 -DPUTOFFS=0'
build company "$company" -DSAFETY
check holds company "$place" -N one_place
check holds company "$deaths" -N interruptions_bounded
check holds company "$innocents" -N innocents_live
build company-live "$company" -DNFAIR=3
check holds company-live "$ends" -a -f -N all_end

# A worker that cannot run suspects alone: every interruption counts.
build together -DNO_ISOLATION -DSAFETY
check holds together "$deaths" -N interruptions_bounded

# Mistakes that must be found.
build no-delivery -DNO_DELIVERY_FENCE -DSAFETY
check fails no-delivery 'mistake: the fence does not look at the number of the delivery' -noclaim
build no-outcome -DNO_OUTCOME_CHECK -DSAFETY
check fails no-outcome 'mistake: the fence does not look at outcomes' -noclaim
build charges -DREPEAT_CHARGES -DSAFETY
check fails charges 'mistake: a repeated settle is charged again' -noclaim
build leaves -DARCHIVE_LEAVES -DSAFETY
check fails leaves 'mistake: what is archived stays in the queue' -N one_place
build forever -DRETRY_FOREVER -DSAFETY
check fails forever 'mistake: the last failure is retried as well' -N failures_bounded
build no-budget -DNO_BUDGET -DSAFETY
check fails no-budget 'mistake: interruptions are not counted' -N interruptions_bounded
build no-waking -DNO_WAKING -DNFAIR=3
check fails no-waking 'mistake: hidden messages stay hidden' -a -f -N all_end
build early "$company -DTURN_ENDS_WITH_RUN" -DSAFETY
check fails early 'mistake: the next suspect starts before the last is settled' -N innocents_live

exit "$failed"
