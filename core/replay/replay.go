// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// The errors of a [Store]. Each of them means that nothing was kept, and that the
// message has to be refused: the store fails closed (profile 7.4).
var (
	// ErrFull says that a cap would be passed. Errors wrap it and name the cap, so
	// compare with [errors.Is].
	ErrFull = errors.New("replay: full")
	// ErrExpired says that a claim's NotAfter is past. Such a claim would protect nothing.
	ErrExpired = errors.New("replay: claim has expired")
	// ErrTooFar says that a claim's NotAfter is more than about 136 years after the
	// store was made, which is more than an entry can hold.
	ErrTooFar = errors.New("replay: claim ends too far ahead")
)

// Key identifies a task token: the SHA-256 over level class, issuer and `jti`, each
// with its length before it (profile 7.1). Make one with [NewKey].
type Key [32]byte

// Sizes of what is hashed.
const (
	lengthBytes = 8
	taskIDBytes = 16
	// frameBytes is everything but the issuer: three lengths, the class and the task id.
	frameBytes = 3*lengthBytes + 1 + taskIDBytes
	// shortIssuer is the longest issuer hashed in one call from a buffer on the stack.
	shortIssuer = 256
)

// NewKey returns the key of a token, given whether it is signed, its issuer (empty if
// it names none) and the 16 bytes of its `jti` (profile 7.1). Lengths are 8 bytes, big
// endian; the level class is one byte, 1 if signed and 0 if not. It does not allocate.
//
// The class is part of the key so that an unsigned token, whose issuer anyone may
// write, can't take the place of a signed one.
func NewKey(signed bool, issuer string, taskID [16]byte) Key {
	var array [frameBytes + shortIssuer]byte
	buf := binary.BigEndian.AppendUint64(array[:0], 1)
	if signed {
		buf = append(buf, 1)
	} else {
		buf = append(buf, 0)
	}
	buf = binary.BigEndian.AppendUint64(buf, uint64(len(issuer)))
	if len(issuer) > shortIssuer {
		return longKey(buf, issuer, taskID)
	}
	buf = append(buf, issuer...)
	buf = binary.BigEndian.AppendUint64(buf, taskIDBytes)
	buf = append(buf, taskID[:]...)
	return sha256.Sum256(buf)
}

// longKey hashes piece by piece, so that an issuer of any length goes through the
// same small buffer.
func longKey(head []byte, issuer string, taskID [16]byte) Key {
	h := sha256.New()
	h.Write(head)
	var array [shortIssuer]byte
	for len(issuer) > 0 {
		n := copy(array[:], issuer)
		h.Write(array[:n])
		issuer = issuer[n:]
	}
	tail := binary.BigEndian.AppendUint64(array[:0], taskIDBytes)
	h.Write(append(tail, taskID[:]...))
	var k Key
	h.Sum(k[:0])
	return k
}

// Digest is the first 16 bytes of a token's digest, which tell one token from another
// with the same key (profile 7.1).
type Digest [16]byte

// Claim is what a [Store] is told about one token.
type Claim struct {
	// Key identifies the task token.
	Key Key
	// Digest tells this token from another one with the same key.
	Digest Digest
	// Signed is the level class. Signed and unsigned claims have caps of their own,
	// and it has to be what Key was made with.
	Signed bool
	// Domain is the trust domain of a signed claim, whose cap it counts against; the
	// empty name is a domain like any other. For an unsigned claim it is not looked
	// at, since there it is a stranger's word.
	Domain string
	// NotAfter is in Unix seconds. The claim lives through that second. It is the
	// earlier of `exp` and `iat` plus maximum age, plus leeway (profile 7.3).
	NotAfter int64
}

// Outcome is what a [Store] answers to one claim (profile 7.1). The set is closed; the
// zero value is no outcome.
type Outcome uint8

// The outcomes.
const (
	// Fresh says that no live claim has this key.
	Fresh Outcome = iota + 1
	// Same says that this very token has been claimed before.
	Same
	// Conflict says that another token with this key has been claimed before.
	Conflict
)

// String returns "fresh", "same" or "conflict", which are stable and serve as metric
// labels; for any other value it returns "unknown".
func (o Outcome) String() string {
	switch o {
	case Fresh:
		return "fresh"
	case Same:
		return "same"
	case Conflict:
		return "conflict"
	}
	return "unknown"
}

// Store keeps claims. Implementations are safe for concurrent use, and no two calls
// see each other half done.
type Store interface {
	// Claim takes every claim of the batch or none (profile 7.3). outcomes[i] is for
	// batch[i], and what the store held before the call decides it.
	//
	// If any outcome is [Conflict], or if any is [Same] and once is set, nothing of the
	// batch is kept and the error is nil: the outcomes say what stood in the way. If
	// not, the fresh claims are kept, and a claim that is the same again lives on to
	// the later of both NotAfter.
	//
	// Where a batch has one key more than once, claims with the digest of the first are
	// that same claim, with its outcome, and are counted once; any other is a Conflict.
	//
	// With an error, outcomes is nil and nothing is kept: [ErrFull] when a cap would be
	// passed, [ErrExpired] and [ErrTooFar] for a NotAfter out of range, the context's
	// error when it is done, and any other error when the store fails. Callers fail
	// closed on each of them.
	Claim(ctx context.Context, batch []Claim, once bool) (outcomes []Outcome, err error)

	// Release gives back claims, for a message that was refused before its handler ran
	// (profile 7.3). It gives back those whose digest is equal to the stored one and
	// passes over all others without an error.
	//
	// ONLY RELEASE WHAT YOUR OWN CALL OF CLAIM ANSWERED FRESH AND KEPT. A claim that was
	// the same again belongs to another message, whose handler may have run.
	//
	// With an error nothing is given back, and the claims then live until they expire.
	// A context that is done is such an error, so give a Release that has to happen a
	// context of its own, as from [context.WithoutCancel].
	Release(ctx context.Context, batch []Claim) error
}
