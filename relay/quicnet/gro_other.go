//go:build !linux

package quicnet

import "net"

// receiveJoined returns c itself: only Linux joins packets for the receiver.
func receiveJoined(c *net.UDPConn, _ int) net.PacketConn { return c }
