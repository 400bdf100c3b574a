package storetest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// Variables of the environment: the folder in which a child works, its round,
// and how many rounds Crash runs.
const (
	crashDirVar    = "WAXWING_CRASH_DIR"
	crashRoundVar  = "WAXWING_CRASH_ROUND"
	crashRoundsVar = "WAXWING_CRASH_ROUNDS"
)

// crashWorkers is the number of goroutines of a child that write.
const crashWorkers = 16

// CrashChild is called first in TestMain of a durable engine. In a child of
// Crash it works on the engine until it is killed and never returns; otherwise
// it does nothing.
func CrashChild(open func(dir string) (store.Store, error)) {
	dir := os.Getenv(crashDirVar)
	if dir == "" {
		return
	}
	round, err := strconv.Atoi(os.Getenv(crashRoundVar))
	if err == nil {
		var s store.Store
		if s, err = open(dir); err == nil {
			err = crashWork(s, round, os.Stdout)
		}
	}
	fmt.Fprintln(os.Stderr, "child:", err)
	os.Exit(1)
}

// Crash runs the test binary as a child that prints what the engine has
// acknowledged, kills it at a random moment with SIGKILL, opens what is left,
// and looks for all of it; a few times on one folder. The number of rounds is 3,
// or WAXWING_CRASH_ROUNDS.
func Crash(t *testing.T, open func(t testing.TB, dir string) store.Store) {
	rounds := 3
	if v := os.Getenv(crashRoundsVar); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		rounds = n
	}
	dir := t.TempDir()
	acked := newCrashLedger()
	for round := range rounds {
		before := acked.count
		crashRound(t, dir, round, acked)
		if acked.count == before {
			t.Logf("round %d was over before anything was acknowledged", round)
		}
		s := open(t, dir)
		acked.check(t, s, round)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if acked.count == 0 {
		t.Fatal("nothing was acknowledged in any round")
	}
	t.Logf("%d rounds, %d acknowledged operations", rounds, acked.count)
}

func crashRound(t *testing.T, dir string, round int, acked *crashLedger) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), crashDirVar+"="+dir, crashRoundVar+"="+strconv.Itoa(round))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(300*time.Millisecond+rand.N(500*time.Millisecond), func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	acked.read(t, out)
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("child: %v: %s", err, stderr.String())
	}
}

// crashDay is far enough ahead that serials stay known, whatever the clock.
func crashDay() ids.Day { return ids.DayOf(time.Now()) + 5 }

// crashAppend is operation n of a worker: half of them with a serial.
func crashAppend(worker, n int) store.AppendReq {
	number := worker<<32 | n
	r := store.AppendReq{
		Mailbox: box(byte(1 + worker%4)), ID: id(number), Body: body(number),
		Expires: time.Now().Add(240 * time.Hour), Quota: store.Quota{Messages: 1 << 30, Bytes: 1 << 50},
	}
	if n%2 == 0 {
		r.Serial, r.HasSerial = store.Serial{Day: crashDay(), N: uint64(number)}, true
	}
	return r
}

// crashWork writes until it is killed, and prints a line after each answer:
// kind, worker, number, and a value that depends on the kind.
func crashWork(s store.Store, round int, out io.Writer) error {
	ctx := context.Background()
	if err := s.OpenSet(ctx, set(1), time.Now().Add(100*time.Hour).Truncate(time.Hour)); err != nil {
		return err
	}
	for b := byte(1); b <= 4; b++ {
		if _, err := s.OpenReader(ctx, box(b), 1); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	failed := make(chan error, crashWorkers+1)
	say := func(kind string, worker, n int, value uint64) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(out, kind, worker, n, value)
	}
	for w := range crashWorkers {
		go func() { failed <- crashWorker(s, w, round, say) }()
	}
	go func() { failed <- crashReader(s, say) }()
	return <-failed
}

func crashWorker(s store.Store, w, round int, say func(string, int, int, uint64)) error {
	ctx := context.Background()
	log, doc, pool := store.Key(fmt.Sprint("log", w)), store.Key(fmt.Sprint("doc", w)), crashPool(w<<32|round<<20)
	size, err := s.LogSize(ctx, log)
	if err != nil {
		return err
	}
	d, err := s.Get(ctx, doc)
	version := d.Version
	if err != nil && version != 0 {
		return err
	}
	for i := 0; ; i++ {
		n := round<<20 | i
		r := s.Append(ctx, []store.AppendReq{crashAppend(w, n)})[0]
		if r.Outcome != store.Appended {
			return fmt.Errorf("append: %v: %w", r.Outcome, r.Err)
		}
		say("append", w, n, uint64(r.Cursor))
		number := w<<32 | n
		if res := s.Spend(ctx, set(1), []store.Claim{{Token: token(number), Claimant: claimant(number)}}); res[0].Err != nil || !res[0].Won {
			return fmt.Errorf("spend: %+v", res[0])
		}
		say("spend", w, n, 0)
		if err := s.LogAppend(ctx, log, size, [][]byte{body(int(size))}); err != nil {
			return err
		}
		size++
		say("log", w, n, size)
		if version, err = s.CAS(ctx, doc, version, []byte(strconv.Itoa(n))); err != nil {
			return err
		}
		say("doc", w, n, version)
		if i%8 == 0 { // few enough for the claims to be remembered
			if err := s.Put(ctx, pool, []store.Item{item(n + 1)}); err != nil {
				return err
			}
			it, _, err := s.Take(ctx, pool, claimant(number))
			if err == nil {
				say("take", w, n, it.ID)
			}
		}
	}
}

// crashPool is the pool of a worker's operation: one for each round, since a pool
// remembers only so many claims.
func crashPool(number int) store.Key { return store.Key(fmt.Sprint("pool", number>>20)) }

// crashReader acks half of what it reads, and removes the last.
func crashReader(s store.Store, say func(string, int, int, uint64)) error {
	ctx := context.Background()
	for b := byte(1); ; b = b%4 + 1 {
		m, err := s.Fetch(ctx, box(b), 0, 20, 0)
		if err != nil {
			return err
		}
		if len(m) == 0 {
			continue
		}
		c := m[len(m)/2].Cursor
		if err := s.Ack(ctx, []store.AckReq{{Mailbox: box(b), Reader: 1, UpTo: c}})[0]; err != nil {
			return err
		}
		say("ack", int(b), 0, uint64(c))
		last := m[len(m)-1].Cursor
		say("removing", int(b), 0, uint64(last))
		if err := s.Remove(ctx, box(b), []store.Cursor{last}); err != nil {
			return err
		}
		say("removed", int(b), 0, uint64(last))
	}
}

// crashLedger is what was acknowledged in all rounds.
type crashLedger struct {
	count   int
	appends []crashLine
	spends  []crashLine
	acked   [5]store.Cursor          // by mailbox
	removed [5]map[store.Cursor]bool // by mailbox; false: perhaps
	logs    map[int]int
	docs    map[int]int
	taken   map[int]crashTake // by number of the claimant; of the last minutes
}

func newCrashLedger() *crashLedger {
	l := &crashLedger{taken: make(map[int]crashTake), logs: make(map[int]int), docs: make(map[int]int)}
	for i := range l.removed {
		l.removed[i] = make(map[store.Cursor]bool)
	}
	return l
}

// crashTake is an item that was taken, and when that was heard of: a pool remembers
// it for store.ClaimMemory.
type crashTake struct {
	id uint64
	at time.Time
}

type crashLine struct {
	worker, n int
	value     uint64
}

// read reads a child's lines until it has been killed; the last may be cut off.
func (l *crashLedger) read(t *testing.T, r io.Reader) {
	t.Helper()
	for in := bufio.NewReader(r); ; l.count++ {
		text, err := in.ReadString('\n')
		if err != nil {
			return
		}
		var kind string
		var x crashLine
		if n, err := fmt.Sscan(text, &kind, &x.worker, &x.n, &x.value); n != 4 {
			t.Fatalf("child says %q: %v", text, err)
		}
		switch kind {
		case "append":
			l.appends = append(l.appends, x)
		case "spend":
			l.spends = append(l.spends, x)
		case "ack":
			l.acked[x.worker] = max(l.acked[x.worker], store.Cursor(x.value))
		case "removing", "removed":
			l.removed[x.worker][store.Cursor(x.value)] = kind == "removed"
		case "log":
			l.logs[x.worker] = int(x.value)
		case "doc":
			l.docs[x.worker] = x.n
		case "take":
			l.taken[x.worker<<32|x.n] = crashTake{x.value, time.Now()}
		}
	}
}

// check looks for everything that was acknowledged.
func (l *crashLedger) check(t *testing.T, s store.Store, round int) {
	t.Helper()
	x := &suite{t: t, Store: s, clock: NewClock(time.Now())}
	held := make(map[ids.MailboxID]map[store.Cursor]ids.EnvelopeID)
	reader := make(map[ids.MailboxID]store.Cursor)
	for b := byte(1); b <= 4; b++ {
		messages := x.fetch(box(b), 0)
		held[box(b)] = make(map[store.Cursor]ids.EnvelopeID)
		reader[box(b)] = x.openReader(box(b), 1)
		var bytes int64
		for _, m := range messages {
			if m.Cursor <= l.acked[b] || l.removed[b][m.Cursor] {
				t.Fatalf("round %d: an acked or removed message is back", round)
			}
			held[box(b)][m.Cursor] = m.ID
			bytes += int64(len(m.Body))
		}
		x.stat(box(b), len(messages), bytes)
	}
	for _, a := range l.appends {
		r := crashAppend(a.worker, a.n)
		c := store.Cursor(a.value)
		if _, gone := l.removed[1+a.worker%4][c]; c > reader[r.Mailbox] && !gone && held[r.Mailbox][c] != r.ID {
			t.Fatalf("round %d: an acknowledged message is lost", round)
		}
	}
	l.checkFates(t, x, round)
	for w, n := range l.logs {
		log := store.Key(fmt.Sprint("log", w))
		if size, err := s.LogSize(context.Background(), log); err != nil || size < uint64(n) {
			t.Fatalf("round %d: a log has %d entries, %v; %d were acknowledged", round, size, err, n)
		}
		e, err := s.LogRead(context.Background(), log, uint64(n-1), 1)
		if err != nil || len(e) != 1 || !bytes.Equal(e[0], body(n-1)) {
			t.Fatalf("round %d: an entry of a log is not as appended", round)
		}
	}
	for w, n := range l.docs {
		d, err := s.Get(context.Background(), store.Key(fmt.Sprint("doc", w)))
		if got, _ := strconv.Atoi(string(d.Value)); err != nil || got < n {
			t.Fatalf("round %d: a document is older than acknowledged: %v", round, err)
		}
	}
	seen := make(map[uint64]bool)
	maps.DeleteFunc(l.taken, func(_ int, took crashTake) bool { return time.Since(took.at) > store.ClaimMemory/2 })
	for number, took := range l.taken {
		it, _, err := s.Take(context.Background(), crashPool(number), claimant(number))
		if err != nil || it.ID != took.id {
			t.Fatalf("round %d: a taken item is another one: %v", round, err)
		}
		if key := uint64(number>>32)<<48 | it.ID; seen[key] {
			t.Fatalf("round %d: an item was given out twice", round)
		} else {
			seen[key] = true
		}
	}
}

// checkFates repeats a sample of the appends and claims: the same ids find
// themselves, others lose.
func (l *crashLedger) checkFates(t *testing.T, x *suite, round int) {
	t.Helper()
	const sample = 64
	for range min(sample, len(l.appends)) {
		a := l.appends[rand.IntN(len(l.appends))]
		if r := crashAppend(a.worker, a.n); r.HasSerial {
			x.want(r, store.Duplicate)
			r.ID[0] ^= 1
			x.want(r, store.Spent)
		}
	}
	for range min(sample, len(l.spends)) {
		a := l.spends[rand.IntN(len(l.spends))]
		number := a.worker<<32 | a.n
		if !x.spend(set(1), token(number), claimant(number)) || x.spend(set(1), token(number), claimant(number+1)) {
			t.Fatalf("round %d: a claim was lost", round)
		}
	}
}
