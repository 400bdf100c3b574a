package reports

import (
	"errors"
	"testing"
	"time"

	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
)

// Over each limit of reports the error says when the same is allowed, and it is
// then.
func TestEveryLimitTellsWhen(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, n := range []limits.Name{limits.AccountIssues, limits.AccountReports, limits.PeerVerdicts} {
		book, err := limits.New(limits.Settings{{Name: n}: gcra.Limit{Burst: 2, Count: 1, Period: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		r := &Reports{conf: Config{Limits: book}}
		key := limits.KeyOf("alice@alpha.example")
		for range 2 {
			if err := r.spend(now, n, key); err != nil {
				t.Errorf("%s: within the limit: %v", n, err)
			}
		}
		var limited *Limited
		if err := r.spend(now, n, key); !errors.As(err, &limited) || limited.RetryAfter <= 0 {
			t.Fatalf("%s: %v", n, err)
		}
		if err := r.spend(now, n, limits.KeyOf("bob@alpha.example")); err != nil {
			t.Errorf("%s: another's: %v", n, err)
		}
		if err := r.spend(now.Add(limited.RetryAfter), n, key); err != nil {
			t.Errorf("%s: at the time that it was told: %v", n, err)
		}
	}
}
