// Package limits names the limits over time of a provider: what each is of, its
// default, its reason, and whom it is about, in one table (All) that decisions,
// configuration, metrics, documentation and the operator's commands read. A new
// limit is a constant and a row.
//
// A Book holds the values in force and the buckets. A value comes from the
// table, from the configuration or from a command of the operator, which may be
// for a time; one for a single peer wins over one for all. Beside the value that
// is enforced a limit may have one for a dry run: nothing is refused over it,
// but counted, so that a stricter one can be tried under real load. Decisions
// are those of package gcra; time comes in as an argument. DESIGN section 4,
// "Limits of a provider as a whole".
//
// It does not protect against one owner of many accounts or addresses: what a
// bucket stands for, and what a new one costs, is the caller's choice. Buckets
// and counts are lost with the process; values set by command are the caller's
// to store (Change.Fields).
package limits
