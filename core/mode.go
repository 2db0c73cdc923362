// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

// Mode says what becomes of messages whose tokens are missing or bad (profile 9.5).
type Mode uint8

const (
	// Enforce refuses messages without a token and with a bad one. It is the default.
	Enforce Mode = iota
	// Optional lets messages without a token through; a bad one is refused all the same.
	Optional
	// Observe refuses nothing and claims nothing: what would have been refused is
	// reported to observers, and the task is recorded as a root.
	Observe
)
