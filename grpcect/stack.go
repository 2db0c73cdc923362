// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

// stackRoom is about what verifying and signing take of a stack.
const stackRoom = 8 << 10

// deepen makes the stack of a call's goroutine grow at once, by its own frame, while
// little is on it. grpc-go begins a goroutine for each call, with a stack of 2 KiB: that
// would grow three times on the way to a signature, and all that is on it be moved each
// time.
func deepen() { deep(-1) }

// deep has room in its frame, and clears it only for who wants a byte of it.
//
//go:noinline
func deep(at int) byte {
	if at < 0 {
		return 0
	}
	var room [stackRoom]byte
	return room[at]
}
