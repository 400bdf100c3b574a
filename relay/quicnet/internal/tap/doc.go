// Package tap is the one place through which a test can see frames inside TLS.
//
// Package quicnet asks it for every stream whether somebody listens. Only
// relay/quicnet/quicnettest can set a listener, and only tests may import that:
// Go refuses other importers of this package, the architecture's test other
// importers of that one. In a program nobody listens, and a frame costs one
// comparison with nil.
//
// It protects nothing: who listens sees what the process sees anyway.
package tap
