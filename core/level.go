// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"errors"

	"github.com/go-ect/ect/core/id"
)

// The identifiers of package id, which is all that stores need to know of a token.
type (
	// UUID is a task identifier (`jti`).
	UUID = id.UUID
	// Workflow is a workflow identifier (`wid`), possibly absent.
	Workflow = id.Workflow
	// Digest tells one token from every other (profile 2.8).
	Digest = id.Digest
	// ShortDigest is the half of a digest by which a token names its predecessors (profile 3.6).
	ShortDigest = id.Short
)

// Level is an assurance level. A result carries the level achieved, never one
// claimed (profile 1.2). The zero value is no level.
type Level uint8

// The assurance levels (profile 1). No token reaches L3 in this version, which has
// no ledger: a receipt is ignored.
const (
	// L1 is unsigned: someone on this channel claims it.
	L1 Level = iota + 1
	// L2 is signed: the holder of this key claims it.
	L2
	// L3 is signed, and a receipt shows it in a ledger.
	L3
)

// String returns "L1", "L2", "L3", or "none".
func (l Level) String() string {
	switch l {
	case L1:
		return "L1"
	case L2:
		return "L2"
	case L3:
		return "L3"
	}
	return "none"
}

// ParseLevel is the inverse of [Level.String] for the three levels.
func ParseLevel(s string) (Level, error) {
	for l := L1; l <= L3; l++ {
		if l.String() == s {
			return l, nil
		}
	}
	return 0, errors.New("ect: a level is L1, L2 or L3")
}

// Algorithm is a JWS signature algorithm this library verifies. Symmetric
// algorithms and "none" have no value of this type (profile 2.4).
type Algorithm uint8

// The algorithms (RFC 7518, 3.4; RFC 8037; RFC 9864).
const (
	ES256 Algorithm = iota + 1
	ES384
	EdDSA
	// Ed25519 is the name RFC 9864 gives EdDSA over that curve. One key fits both
	// names; issuers here write EdDSA.
	Ed25519
)

var algorithmNames = [...]string{ES256: "ES256", ES384: "ES384", EdDSA: "EdDSA", Ed25519: "Ed25519"}

// String returns the name in the `alg` header parameter, or "none of ours".
func (a Algorithm) String() string {
	if a == 0 || int(a) >= len(algorithmNames) {
		return "none of ours"
	}
	return algorithmNames[a]
}

// parseAlgorithm returns 0 for a name that is not in the list.
func parseAlgorithm(s string) Algorithm {
	for a := ES256; a <= Ed25519; a++ {
		if algorithmNames[a] == s {
			return a
		}
	}
	return 0
}

// sameKey tells whether a key made for one algorithm fits the other.
func (a Algorithm) sameKey(b Algorithm) bool {
	if a == Ed25519 {
		a = EdDSA
	}
	if b == Ed25519 {
		b = EdDSA
	}
	return a == b
}

// Revision is a revision of the draft, which decides the names on the wire.
// Verifiers read both (profile 3.1).
type Revision uint8

const (
	// Revision01 writes `exec+jwt`, `pred` and `ect_ext`. It is the default.
	Revision01 Revision = iota
	// Revision00 writes `wimse-exec+jwt`, `par` and `ext`, for peers that need it.
	Revision00
)
