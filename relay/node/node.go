package node

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/store/badgerstore"
	"waxwing/franking"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
	"waxwing/relay/admission"
	"waxwing/relay/quicnet"
	"waxwing/relay/reports"
)

const (
	// MaxPeers bounds the providers to federate with: each has a link with its
	// goroutines and buffers.
	MaxPeers = 1024
	// drainTime is how long a server that shuts down goes on answering what it
	// has taken.
	drainTime = 5 * time.Second
)

// ErrConfig says that a Config makes no sense.
var ErrConfig = errors.New("node: invalid configuration")

// Config is what a Node is made of. Dir and Listen are required.
type Config struct {
	Dir    string // data directory, made by Init
	Listen string // UDP address, "host:port"
	// Secret is what the key files are wrapped under. Without one they are not,
	// and those that are wrapped cannot be opened.
	Secret []byte
	// Endpoints is where others reach the provider, "host:port" each. Default:
	// the address that it listens on.
	Endpoints    []string
	Peers        []Peer
	Registration relay.Registration
	// Hop has questions passed on to peers that come from connections without an
	// account.
	Hop bool
	// Allowance is how many franking tokens an account may have of one day. Default:
	// reports.DefaultAllowance.
	Allowance uint32
	// Policy is how far other providers' reviewers are followed. Default:
	// franking.DefaultPolicy.
	Policy  *franking.Policy
	Limits  limits.Settings  // instead of the defaults
	Network quicnet.Config   // limits and timeouts of connections; identity, address and limits are set here
	Logger  *slog.Logger     // default: none
	Now     func() time.Time // default: time.Now
	// Refresh is how often the descriptor of a connected peer is fetched again.
	// Default: an hour.
	Refresh time.Duration
	// Store is used instead of the one in the data directory, and left open.
	Store store.Store
	// Socket makes the socket of each connection to a peer; a UDP socket of the
	// system. Network.PacketConn is its counterpart for those that are accepted.
	Socket func() (net.PacketConn, error)

	senderBacklog int // instead of the constant, in tests
	maxParked     int // the same
}

// Node is a running provider.
type Node struct {
	// fixed
	dir         string
	domain      ids.Domain
	started     time.Time
	endpoints   []string
	refresh     time.Duration
	now         func() time.Time
	socket      func() (net.PacketConn, error) // nil: the system's
	timeouts    quicnet.Timeouts
	log         *slog.Logger
	identity    *quicnet.Identity
	listener    *quicnet.Listener
	store       store.Store
	ownStore    bool
	maxParked   int // 0: the constant
	keyring     *keyring
	peers       *peers
	directory   *directory.Directory
	relay       *relay.Relay
	reports     *reports.Reports
	submissions *submissions
	admission   *admission.Admission
	rules       rules
	metrics     *metrics
	notify      *notifier

	draining     context.Context // ends when the server is to shut down
	drain        context.CancelFunc
	publications publications // has its own lock
	fromClients  backlog
	fromPeers    backlog
	clients      senders // each has its own lock
	peerSenders  senders
	fatal        chan error // holds one: why the server has to stop
	intakes      tracker
	revoked      atomic.Uint64 // when a token-signing key of the list was revoked last; 0 for never
	rotating     sync.Mutex    // held while keys are changed and described
	mintDue      chan struct{} // holds one: half of the reserved tickets are minted
}

// Open opens a provider's data directory and starts to listen; Run serves.
// Errors are ErrConfig, ErrNotInitialised, and those of the store, the file
// system and the network.
func Open(conf Config) (_ *Node, err error) {
	n := &Node{
		fromClients: backlog{limit: clientBacklog}, fromPeers: backlog{limit: peerBacklog},
		dir: conf.Dir, now: conf.Now, socket: conf.Socket, timeouts: conf.Network.Timeouts, log: conf.Logger, maxParked: conf.maxParked,
		notify: newNotifier(), fatal: make(chan error, 1), mintDue: make(chan struct{}, 1),
	}
	each := cmp.Or(conf.senderBacklog, senderBacklog)
	n.clients.limit, n.clients.above = each, &n.fromClients
	n.peerSenders.limit, n.peerSenders.above = each, &n.fromPeers
	if n.now == nil {
		n.now = time.Now
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.refresh = conf.Refresh; n.refresh <= 0 {
		n.refresh = defaultRefresh
	}
	n.draining, n.drain = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	if n.domain, err = ownDomain(conf.Dir); err != nil {
		return nil, err
	}
	dir, root, err := openKeys(conf.Dir, conf.Secret)
	if err != nil {
		return nil, err
	}
	now := n.now()
	n.started = now
	if n.keyring, err = openKeyring(dir, root, now); err != nil {
		return nil, err
	}
	if n.submissions, err = openSubmissions(dir, n.domain, ids.DayOf(now)); err != nil {
		return nil, err
	}
	if n.identity, err = quicnet.NewIdentity(n.domain, root, now); err != nil {
		return nil, err
	}
	if n.store = conf.Store; n.store == nil {
		n.ownStore = true
		if n.store, err = badgerstore.Open(badgerstore.Config{Dir: n.path(dirStore), Now: conf.Now}); err != nil {
			n.store = nil
			return nil, err
		}
	}
	if err := n.federate(conf.Peers); err != nil {
		return nil, err
	}
	if err := n.openLimits(context.Background(), conf.Limits); err != nil {
		return nil, err
	}
	if err := n.listen(conf, ids.DayOf(now)); err != nil {
		return nil, err
	}
	return n, n.decide(conf)
}

func (n *Node) listen(conf Config, today ids.Day) error {
	c := conf.Network
	c.Addr, c.Identity, c.PeerPin, c.Now, c.Limits = conf.Listen, n.identity, n.peers.pin, n.now, n.rules.book
	c.Failed = func(f quicnet.Failure) { n.metrics.failed[f].Inc() }
	var err error
	if n.listener, err = quicnet.Listen(c); err != nil {
		return err
	}
	if n.endpoints = conf.Endpoints; len(n.endpoints) == 0 {
		n.endpoints = []string{n.listener.Addr().String()}
	}
	return n.describeSelf(today)
}

func (n *Node) decide(conf Config) error {
	var err error
	book := n.rules.book
	if n.directory, err = directory.New(n.store, directory.Config{Domain: n.domain, Limits: book}); err != nil {
		return err
	}
	n.metrics = newMetrics()
	n.metrics.countLimits(book)
	if err := n.openReports(conf, book, n.now()); err != nil {
		return err
	}
	if err := n.openAdmission(n.now()); err != nil {
		return err
	}
	n.relay, err = relay.New(relay.Config{
		Domain: n.domain, Store: n.store, Tickets: n.keyring.tickets, Stamps: n.keyring.stamps,
		Directory: n.directory, Keys: n.keyring, Peers: n.peers, Snapshots: n.reports, Bans: n.reports, Submissions: n.submissions, Admission: n.admission,
		Registration: conf.Registration, Limits: book, Hop: conf.Hop,
	})
	return err
}

func (n *Node) path(name string) string { return filepath.Join(n.dir, name) }

// Domain returns the provider's name.
func (n *Node) Domain() ids.Domain { return n.domain }

// Pin returns by what clients and peers know the provider.
func (n *Node) Pin() keys.Pin { return n.identity.Pin() }

// Addr returns the address that the provider listens on.
func (n *Node) Addr() net.Addr { return n.listener.Addr() }

// Endpoints returns where others are told to reach the provider; there is at
// least one.
func (n *Node) Endpoints() []string { return slices.Clone(n.endpoints) }

// Gatherer returns the metrics.
func (n *Node) Gatherer() prometheus.Gatherer { return n.metrics.registry }

// Health returns nil, or why the provider does not work.
func (n *Node) Health(ctx context.Context) error { return n.store.Health(ctx) }

// Run serves until ctx ends or the store fails. Then it takes nothing more,
// answers what it has taken, and closes everything. The error is the store's.
func (n *Node) Run(ctx context.Context) error {
	defer n.close()
	// What serves outlives ctx: it ends when it has answered.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	linked, unlink := context.WithCancel(serving)
	defer unlink()
	var work sync.WaitGroup
	defer work.Wait()
	accepted := make(chan error, 1)
	work.Go(func() { accepted <- n.accept(serving) })
	work.Go(func() { n.peers.run(linked) })
	work.Go(func() { n.rotation(linked) })

	var err error
	select {
	case <-ctx.Done():
		n.log.Info("draining", "for_at_most", drainTime.String())
	case err = <-n.fatal:
		n.log.Error("the store failed; shutting down, as nothing more can be acknowledged")
	case err = <-accepted:
		n.log.Error("the listener failed; shutting down")
	}
	unlink()
	n.drain()
	n.waitForIntakes(drainTime)
	err = errors.Join(err, n.listener.Close())
	stop()
	return err
}

// waitForIntakes waits until what was taken is answered.
func (n *Node) waitForIntakes(limit time.Duration) {
	done := make(chan struct{})
	go func() {
		n.intakes.wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

// tracker counts what runs until it is told to wait; from then on nothing more
// begins.
type tracker struct {
	mu     sync.Mutex // guards closed, and wg against an Add beside Wait
	closed bool
	wg     sync.WaitGroup
}

func (t *tracker) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.wg.Add(1)
	}
	return !t.closed
}

func (t *tracker) wait() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wg.Wait()
}

// fail stops the server: after a failed sync nothing more may be acked.
func (n *Node) fail(err error) {
	select {
	case n.fatal <- err:
	default:
	}
}

func (n *Node) close() {
	n.drain()
	if n.listener != nil {
		_ = n.listener.Close()
	}
	if n.store != nil && n.ownStore {
		_ = n.store.Close()
	}
	if n.keyring != nil {
		n.keyring.root.Erase()
	}
}
