// Package wire is the one schema of what travels between clients and
// providers: envelopes, deliveries, and the frames of the QUIC streams.
//
// Every structure lists its fields once, in its Fields method; the Codec
// builds, parses and describes from that list. Parsing is strict: what it
// accepts is encoded to the same bytes again, every length has a named limit,
// and nothing may follow the last field. Numbers of frame types, codes and
// kinds are stable and never reused. docs/protocol.md shows the layouts; a
// test keeps it in step with this package.
//
// Formats that live inside an encryption (certificate, head and body,
// manifest, ticket, session message) are laid out in the package that owns
// them, with the same Codec.
//
// The package knows no keys: a structure that parses is well formed, not
// authentic.
package wire
