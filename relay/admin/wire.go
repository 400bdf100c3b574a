package admin

import (
	"encoding/json"
	"errors"
	"time"
)

// protocol is the version of the lines.
const protocol = 1

const (
	// maxRequest bounds the line of a request, in bytes: none has more than a
	// few names and numbers.
	maxRequest = 64 << 10
	// maxAnswer bounds the line of an answer: the list of all invites, at some
	// 200 bytes each, or of all peers.
	maxAnswer = 8 << 20
	// maxConns bounds the connections at once: a few people and their scripts.
	maxConns = 16
	// requestTime bounds how long a request may take to be carried out, and how
	// long a connection may be idle.
	requestTime = 30 * time.Second
)

// Method is what is asked for.
type Method string

// The methods, with the types of their parameters and results.
const (
	Health       Method = "health"        // nothing -> HealthResult
	Stats        Method = "stats"         // nothing -> StatsResult
	Drain        Method = "drain"         // nothing -> Done
	InviteCreate Method = "invite.create" // InviteParams -> InviteResult
	InviteList   Method = "invite.list"   // nothing -> InvitesResult
	InviteRevoke Method = "invite.revoke" // IDParams -> Done
	PeerAdd      Method = "peer.add"      // PeerAddParams -> Done
	PeerList     Method = "peer.list"     // PeerListParams -> PeersResult
	PeerRemove   Method = "peer.remove"   // PeerRemoveParams -> Done
	KeysRotate   Method = "keys.rotate"   // RotateParams -> RotateResult
	LimitList    Method = "limits.list"   // LimitListParams -> LimitsResult
	LimitSet     Method = "limits.set"    // LimitSetParams -> Limit
	LimitReset   Method = "limits.reset"  // LimitParams -> Limit
)

type request struct {
	V      int             `json:"v"`
	Method Method          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

type answer struct {
	V      int             `json:"v"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// Code says why a request was not carried out, for programs.
type Code string

// The codes.
const (
	CodeUsage    Code = "usage"     // the request makes no sense
	CodeNotFound Code = "not_found" // it is about something that does not exist
	CodeExists   Code = "exists"    // it would replace something that exists
	CodeLimit    Code = "limit"     // a limit is reached
	CodeFailed   Code = "failed"    // the server could not do it
	CodeBusy     Code = "busy"      // too many requests at once
)

// Error is why a request was not carried out: what failed, to what, and what
// to do next.
type Error struct {
	Code Code   `json:"code"`
	What string `json:"what"`
	Next string `json:"next,omitempty"`
}

func (e *Error) Error() string { return e.What }

// What callers of Call branch on, with errors.Is, besides *Error.
var (
	// ErrNoServer: nobody listens on the socket.
	ErrNoServer = errors.New("admin: no server listens on the socket")
	// ErrDenied: the socket belongs to another user.
	ErrDenied = errors.New("admin: the socket may not be opened")
	// ErrProtocol: what answers does not speak this protocol.
	ErrProtocol = errors.New("admin: not the protocol")
	// ErrConfig: the path is too long for a socket, or it is not one.
	ErrConfig = errors.New("admin: not a usable path for a socket")
)

// Done is the result of a request that has none.
type Done struct{}

// HealthResult says whether the server takes writes.
type HealthResult struct {
	Healthy bool   `json:"healthy"`
	Reason  string `json:"reason,omitempty"` // why it does not
}

// InviteParams asks for an invite.
type InviteParams struct {
	Uses int `json:"uses"` // how many accounts it lets in
	Days int `json:"days"` // for how many days
}

// IDParams names an invite by its id or the beginning of it.
type IDParams struct {
	ID string `json:"id"`
}

// Invite is what is known of an invite.
type Invite struct {
	ID      string    `json:"id"`
	Uses    int       `json:"uses"`
	Used    int       `json:"used"`
	Expires time.Time `json:"expires"`
	State   string    `json:"state"` // open, used, expired or revoked
}

// InviteResult is a new invite. The code is shown this once: the server keeps
// only a hash of it.
type InviteResult struct {
	Code string `json:"code"`
	Invite
}

// InvitesResult lists the invites, the newest expiry first.
type InvitesResult struct {
	Invites []Invite `json:"invites"`
}

// StatsResult is a snapshot of the server. Counters are since its start.
type StatsResult struct {
	Domain     string             `json:"domain"`
	Started    time.Time          `json:"started"`
	Uptime     int64              `json:"uptime_seconds"`
	Healthy    bool               `json:"healthy"`
	Clients    int                `json:"clients"`    // connections of clients
	Peers      int                `json:"peers"`      // connections of peers
	Links      int                `json:"links"`      // peers connected to
	Handshakes int                `json:"handshakes"` // under way
	Refused    uint64             `json:"refused"`    // newcomers refused because of a limit of connections
	Queues     []Queue            `json:"queues"`     // what waits for each peer
	Counters   map[string]float64 `json:"counters"`   // every counter of /metrics, by name and labels
}

// Queue is what waits to be forwarded to one peer.
type Queue struct {
	Domain   string `json:"domain"`
	Messages int    `json:"messages"`
	Bytes    int64  `json:"bytes"`
}

// PeerAddParams adds a peer, or changes where it is.
type PeerAddParams struct {
	Domain  string `json:"domain"`
	Address string `json:"address"` // HOST:PORT
	Pin     string `json:"pin"`
	Replace bool   `json:"replace,omitempty"` // another pin replaces the one that is there
}

// PeerListParams asks for all peers, or for one.
type PeerListParams struct {
	Domain string `json:"domain,omitempty"`
}

// PeerRemoveParams removes a peer.
type PeerRemoveParams struct {
	Domain string `json:"domain"`
	Drop   bool   `json:"drop,omitempty"` // and what waits for it
}

// PeersResult lists peers in the order of their domains.
type PeersResult struct {
	Peers []Peer `json:"peers"`
}

// The states of a peer.
const (
	PeerConnected = "connected"
	PeerDown      = "down"    // it is tried again and again
	PeerRemoved   = "removed" // by command, though it stands in the configuration
)

// Peer is what is known of a peer. Counts are since it was added or the
// server started.
type Peer struct {
	Domain     string `json:"domain"`
	Address    string `json:"address"`
	Pin        string `json:"pin"`
	State      string `json:"state"`
	Configured bool   `json:"configured"`        // it stands in the configuration
	Differs    bool   `json:"differs,omitempty"` // with another address or pin, which does not count

	Since   *time.Time `json:"since,omitempty"`      // connected since
	Error   string     `json:"last_error,omitempty"` // why the connection ended last
	ErrorAt *time.Time `json:"last_error_at,omitempty"`
	Next    string     `json:"next,omitempty"` // what to do about it
	// Incoming is the number of its connections to here.
	Incoming int   `json:"incoming"`
	Messages int   `json:"queue_messages"` // what waits for it
	Bytes    int64 `json:"queue_bytes"`

	Sequence uint64 `json:"descriptor_sequence,omitempty"`
	Expires  string `json:"descriptor_expires,omitempty"` // the last day of its validity

	RefusedByPeer map[string]uint64 `json:"refused_by_peer,omitempty"` // what it refused, by code
	Forwarded     map[string]uint64 `json:"forwarded,omitempty"`       // what became of what it forwarded here
}

// RotateParams says which keys are drawn.
type RotateParams struct {
	// Credentials: those of credentials and no others, and what is under way under
	// the old ones is lost.
	Credentials bool `json:"credentials,omitempty"`
}

// RotateResult says what became of each kind of key.
type RotateResult struct {
	Keys []RotatedKey `json:"keys"`
}

// RotatedKey is one kind of key.
type RotatedKey struct {
	Kind   string `json:"kind"`
	From   string `json:"from,omitempty"`   // the day from which the new one is used
	Reason string `json:"reason,omitempty"` // why there is no new one
}
