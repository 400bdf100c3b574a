package client

import (
	"errors"
	"io"

	"waxwing/core/archive"
	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// newDevice is the keys that a device has made for itself.
type newDevice struct {
	sign *keys.SigningKey
	dh   *keys.DHKey
}

func makeDevice() newDevice { return newDevice{keys.NewSigningKey(), keys.NewDHKey()} }

// of finds the device in a manifest; 0 if it is not there.
func (d newDevice) of(m *directory.Manifest) ids.DeviceID {
	for _, k := range m.Devices() {
		if k.Sign == d.sign.Public() && k.DH == d.dh.Public() {
			return k.ID
		}
	}
	return 0
}

// restoring writes an archive into an empty profile.
type restoring struct {
	tx       *state.Tx
	n        state.Counters
	today    ids.Day
	contacts map[ids.Address]state.ContactID
	// generation of W and Z in use
	generation uint32
	xs         [32]byte // of the manifest
}

// restore makes a profile of an archive. The device is in the archive's manifest,
// or is still to be added: then the profile is not registered. Nothing is stored
// unless all of the archive is good. Errors are ErrArchive, in's and the store's.
func restore(tx *state.Tx, in io.Reader, d newDevice, today ids.Day, server string) error {
	r, a, err := archive.NewReader(in)
	if err != nil {
		return archiveError(err)
	}
	defer a.Erase()
	m, err := checkAccount(a)
	if err != nil {
		return err
	}
	b := &restoring{tx: tx, today: today, xs: m.XS(), contacts: make(map[ids.Address]state.ContactID)}
	if err := b.account(a, m, d, server); err != nil {
		return err
	}
	return b.items(r)
}

// items writes what follows the account's part.
func (b *restoring) items(r *archive.Reader) error {
	for {
		i, err := r.Next()
		if errors.Is(err, io.EOF) {
			return state.Counter.Put(b.tx, state.Single, &b.n)
		}
		if err != nil {
			return archiveError(err)
		}
		if err := b.item(i); err != nil {
			return err
		}
	}
}

// archiveError makes errors of the format this package's.
func archiveError(err error) error {
	for _, e := range []error{archive.ErrFile, archive.ErrTruncated, archive.ErrOrder, archive.ErrFull, wire.ErrMalformed} {
		if errors.Is(err, e) {
			return ErrArchive
		}
	}
	if errors.Is(err, archive.ErrPassphrase) {
		return ErrPassphrase
	}
	return err
}

// checkAccount checks that the secrets are those of the manifest.
func checkAccount(a *archive.Account) (*directory.Manifest, error) {
	m, err := directory.ParseManifest(a.Manifest)
	if err != nil {
		return nil, ErrArchive
	}
	identity, err := keys.SigningKeyFromSeed(a.Identity[:])
	if err != nil {
		return nil, ErrArchive
	}
	defer identity.Erase()
	dh, err := keys.DHKeyFrom(a.DH[:])
	if err != nil {
		return nil, ErrArchive
	}
	k, err := group.Ristretto255().DecodeScalar(a.K[:])
	if err != nil {
		return nil, ErrArchive
	}
	defer k.Erase()
	xs := group.Ristretto255().MulGenerator(k).Bytes()
	if m.Address() != a.Address || m.Identity() != identity.Public() || m.DH() != dh.Public() || m.XS() != [32]byte(xs) {
		return nil, ErrArchive
	}
	return m, nil
}

func (b *restoring) account(a *archive.Account, m *directory.Manifest, d newDevice, server string) error {
	if server == "" {
		server = a.Server
	}
	device := d.of(m)
	p := &state.Profile{
		Address: a.Address, Device: device, Registered: device != 0, Server: server, Pin: a.Pin, Mailbox: a.Mailbox,
		Identity: a.Identity, Sign: [32]byte(d.sign.Seed()), DeviceDH: [32]byte(d.dh.Bytes()), AccountDH: a.DH,
		Root: a.Roots[len(a.Roots)-1].Number, Chain: a.Chain, ChainWeek: directory.Week(a.ChainWeek),
		Secrets:  state.AccountSecrets{K: a.K, W: a.W, Z: a.Z, Generation: a.Generation},
		Manifest: a.Manifest, Since: b.today,
	}
	b.generation = a.Generation
	errs := []error{state.Profiles.Put(b.tx, state.Single, p)}
	if !a.Hop.IsZero() {
		errs = append(errs, state.Hops.Put(b.tx, state.Single, &state.Hop{Domain: a.Hop}))
	}
	for i := range a.Roots {
		r := &a.Roots[i]
		errs = append(errs, state.Roots.Put(b.tx, state.U32(uint32(r.Number)), &state.OwnKey{Made: r.Made, Until: r.Until, Key: r.Key[:]}))
	}
	for i := range a.Keys {
		k := &a.Keys[i]
		errs = append(errs, state.SealKeys.Put(b.tx, state.U32(k.Week), &state.OwnKey{Made: k.Made, Until: k.Until, Key: k.Seed[:]}))
	}
	return errors.Join(errs...)
}

func (b *restoring) item(i devicesync.Item) error {
	switch i := i.(type) {
	case *devicesync.MailboxKeys:
		return b.mailboxKeys(i)
	case *devicesync.Choices:
		return b.choices(i)
	case *devicesync.AccountSecret:
		return b.accountSecret(i)
	case *devicesync.Provider:
		return state.Descriptors.Put(b.tx, []byte(i.Domain.String()), &state.Provider{Pinned: true, Pin: i.Pin})
	case *devicesync.Contact:
		return b.contact(i)
	case *devicesync.Given:
		return b.given(i)
	case *devicesync.Code:
		return state.Codes.Put(b.tx, state.U64(i.Serial), &state.Code{Serial: i.Serial, Expiry: i.Expiry, Owner: b.contacts[i.Owner]})
	case *devicesync.Sent:
		return b.sent(i)
	case *devicesync.Received:
		return b.received(i)
	}
	return ErrArchive
}

// mailboxKeys takes a former generation, if anything can still come under it.
func (b *restoring) mailboxKeys(i *devicesync.MailboxKeys) error {
	k := &state.MailboxKeys{W: i.W, Z: i.Z, Until: i.Until}
	defer k.Erase()
	defer clear(i.W[:])
	defer clear(i.Z[:])
	key := state.U32(i.Generation)
	switch {
	case i.Generation >= b.generation || i.Until == 0 || state.MailboxPairs.Has(b.tx, key):
		return ErrArchive
	case b.today > i.Until:
		return nil
	}
	return state.MailboxPairs.Put(b.tx, key, k)
}

// choices takes what the user chose. The hop itself is in the account's part.
func (b *restoring) choices(i *devicesync.Choices) error {
	defer eraseCodes(i)
	if state.Settings.Has(b.tx, state.Single) {
		return ErrArchive // twice
	}
	errs := []error{state.Settings.Put(b.tx, state.Single, &state.Setting{
		ReadReceipts: i.ReadReceipts, Policy: i.Policy, PolicyKnown: true, // or a newer one than the file has
		HopChanged: i.HopChanged, ReadsChanged: i.ReadsChanged, DoorChanged: i.DoorChanged,
	})}
	for n, code := range i.Codes {
		errs = append(errs, state.DoorCodes.Put(b.tx, state.U32(uint32(n)), &state.DoorCode{Code: code}))
	}
	return errors.Join(errs...)
}

// accountSecret takes k of an X_S that may be in force when the account is asked for.
func (b *restoring) accountSecret(i *devicesync.AccountSecret) error {
	k := &state.AccountKey{K: i.K, Made: b.today}
	defer k.Erase()
	defer clear(i.K[:])
	xs, err := state.AccountKeyOf(k.K)
	if err != nil || xs == b.xs || state.AccountKeys.Has(b.tx, xs[:]) {
		return ErrArchive
	}
	return state.AccountKeys.Put(b.tx, xs[:], k)
}

func (b *restoring) contact(i *devicesync.Contact) error {
	if b.contacts[i.Address] != 0 {
		return ErrArchive // twice the same
	}
	b.n.Contact++
	id := b.n.Contact
	b.contacts[i.Address] = id
	k := &state.Contact{
		Address: i.Address, Status: state.ContactCode, Blocked: i.Blocked, Entry: i.Entry,
		Fingerprint: i.Fingerprint, Batch: i.Strike << generationBits,
	}
	for _, o := range i.Others {
		k.Others = append(k.Others, state.OtherKey(o))
	}
	if i.Strike > 1<<(32-generationBits)-1 {
		return ErrArchive
	}
	errs := []error{
		state.Addresses.Put(b.tx, []byte(i.Address.String()), &state.Ref{Value: uint64(id)}),
		// A choice keeps its time: this device takes no later one back.
		state.Tolds.Put(b.tx, state.U32(id), &state.Told{Choice: choiceOf(i), Changed: i.Changed}),
	}
	if i.Known {
		k.Status, k.Identity, k.XS, k.AccountDH, k.Mailbox = state.ContactKnown, i.Identity, i.XS, i.AccountDH, i.Mailbox
		if len(i.Manifest) > 0 {
			errs = append(errs, b.manifest(id, k, i.Manifest))
		}
	}
	if i.Verified != [32]byte{} {
		errs = append(errs, state.Verified.Put(b.tx, state.U32(id), &state.Digest{D: i.Verified}))
	}
	return errors.Join(append(errs, state.Contacts.Put(b.tx, state.U32(id), k))...)
}

// manifest takes a contact's devices. There are no sessions with them: they are
// looked up when there is something to send.
func (b *restoring) manifest(id state.ContactID, k *state.Contact, raw []byte) error {
	m, err := directory.ParseManifest(raw)
	if err != nil || m.Address() != k.Address || m.Identity() != k.Identity || m.XS() != k.XS {
		return ErrArchive
	}
	k.Version, k.LastDevice = uint32(m.Version()), m.LastDevice()
	errs := []error{state.Manifests.Put(b.tx, state.U32(id), &state.Blob{Bytes: raw})}
	for _, d := range m.Devices() {
		errs = append(errs, state.Peers.Put(b.tx, state.OfContact(id, state.U32(d.ID)), &state.Peer{DH: d.DH}))
	}
	return errors.Join(errs...)
}

func (b *restoring) given(i *devicesync.Given) error {
	for _, g := range givenRows(i) {
		if state.Given.Has(b.tx, state.U64(g.Serial)) {
			return ErrArchive // one serial, one owner
		}
		if err := state.Given.Put(b.tx, state.U64(g.Serial), &g); err != nil {
			return err
		}
	}
	return nil
}

// sent takes an own message. One that was still to be sent has failed: what it
// was sealed with is not here, and the device that has it may send it yet.
func (b *restoring) sent(i *devicesync.Sent) error {
	m := &state.Message{Status: state.Status(i.Status), Time: i.Time, D: i.D, Key: i.Key, Failure: i.Failure, Frame: i.Frame}
	if m.Status == state.StatusWaiting || m.Status == state.StatusSealed {
		m.Status, m.Failure = state.StatusFailed, 0
	}
	return b.log(i.Contact, m)
}

func (b *restoring) received(i *devicesync.Received) error {
	id := b.contacts[i.Contact]
	key := state.OfContact(id, i.D[:])
	if id == 0 || state.Seen.Has(b.tx, key) {
		return ErrArchive
	}
	return errors.Join(
		state.Seen.Put(b.tx, key, &state.Ref{Value: uint64(b.today)}),
		b.log(i.Contact, &state.Message{
			Status: state.StatusReceived, Time: i.Time, D: i.D, Key: i.Key, Com: i.Com, Day: i.Day,
			Stamp: i.Stamp, Stamped: i.Stamped, Frame: i.Frame,
		}),
	)
}

func (b *restoring) log(contact ids.Address, m *state.Message) error {
	if m.Contact = b.contacts[contact]; m.Contact == 0 {
		return ErrArchive
	}
	b.n.Position++
	if m.Status != state.StatusReceived {
		// Told of by another device too, it is not there twice.
		if err := state.Copies.Put(b.tx, state.OfContact(m.Contact, m.D[:]), &state.Ref{Value: uint64(b.n.Position)}); err != nil {
			return err
		}
	}
	return errors.Join(
		state.Log.Put(b.tx, state.U64(b.n.Position), m),
		state.Conversations.Put(b.tx, state.OfContact(m.Contact, state.U64(b.n.Position)), new(state.Ref)),
	)
}
