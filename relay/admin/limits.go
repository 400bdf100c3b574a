package admin

import "time"

// LimitListParams asks for all limits, or for those of one peer.
type LimitListParams struct {
	Peer string `json:"peer,omitempty"`
}

// LimitParams names a value: of a limit, for all or one peer, in force or for a
// dry run.
type LimitParams struct {
	Name   string `json:"name"` // as the configuration has it; hyphens are as good
	Peer   string `json:"peer,omitempty"`
	DryRun bool   `json:"dry_run,omitempty"`
}

// LimitSetParams sets a value.
type LimitSetParams struct {
	LimitParams
	Rate    string `json:"rate"`              // COUNT/UNIT with s, m, h or d, without a unit a second; of a limit at once COUNT
	Burst   int64  `json:"burst,omitempty"`   // 0: the count, or what the limit needs at least
	Seconds int64  `json:"seconds,omitempty"` // for how long; 0: for ever
}

// LimitsResult lists limits in the order of their table.
type LimitsResult struct {
	Limits []Limit `json:"limits"`
}

// Limit is what is known of a limit. Counts are since the server's start.
type Limit struct {
	Name   string      `json:"name"`
	Peer   string      `json:"peer,omitempty"` // whose it is about alone
	Scope  string      `json:"scope"`          // account, peer, mailbox, provider or address prefix
	Unit   string      `json:"unit"`
	What   string      `json:"what"`
	Over   string      `json:"over"`              // what happens over it
	Value  LimitValue  `json:"value"`             // what is in force
	DryRun *LimitValue `json:"dry_run,omitempty"` // what is only counted against
	// Active is how many buckets are in use, Used how much of its burst the
	// fullest has spent; of one peer, its own.
	Active   int               `json:"active"`
	Used     int64             `json:"used"`
	Refused  map[string]uint64 `json:"refused"`      // by cause: rate, crowded
	OverDry  uint64            `json:"over_dry_run"` // let through, and over the value of the dry run
	PeersOwn []string          `json:"peers"`        // those with values of their own
}

// LimitValue is a value of a limit.
type LimitValue struct {
	Rate   string     `json:"rate"` // COUNT/UNIT; of a limit at once its COUNT, as the burst
	Burst  int64      `json:"burst"`
	Origin string     `json:"origin"`          // default, config or command
	Until  *time.Time `json:"until,omitempty"` // when the command that set it ends
}
