// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package id holds what tells tasks, workflows and tokens apart: UUIDs and token
// digests. The packages that store or compare them need nothing else of a token.
package id

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
)

// UUIDLen is the length in bytes of the text form of a UUID.
const UUIDLen = 36

// ErrUUID reports a text that is not a UUID in the 8-4-4-4-12 form. It never
// contains the text.
var ErrUUID = errors.New("ect: not a UUID in the 8-4-4-4-12 form")

// UUID is a task or workflow identifier (RFC 9562). Two UUIDs are equal if and
// only if they are equal as texts in lower case (profile 3.3).
type UUID [16]byte

// NewUUID returns a random UUID of version 4: a version 7 would tell when to
// whoever sees it (profile 3.4). It is safe for concurrent use.
func NewUUID() UUID {
	var u UUID
	rand.Read(u[:]) // never fails: the program stops if the system has no randomness
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// ParseUUID reads the 8-4-4-4-12 form, in either case (profile 3.3). Any other
// form, braces and "urn:uuid:" included, is [ErrUUID].
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != UUIDLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, ErrUUID
	}
	var all byte
	for n, i := range places {
		hi, lo := unhex[s[i]], unhex[s[i+1]]
		all |= hi | lo
		u[n] = hi<<4 | lo
	}
	if all > 0x0f {
		return UUID{}, ErrUUID
	}
	return u, nil
}

// places has where each byte of a UUID stands in its text.
var places = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// unhex maps a byte to its value as a hexadecimal digit, 0xff for none.
var unhex = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	for i, c := range []byte("ABCDEF") {
		t[c] = byte(i) + 10
	}
	return t
}()

// Append appends the text form, in lower case, to b.
func (u UUID) Append(b []byte) []byte {
	b = hex.AppendEncode(b, u[0:4])
	b = hex.AppendEncode(append(b, '-'), u[4:6])
	b = hex.AppendEncode(append(b, '-'), u[6:8])
	b = hex.AppendEncode(append(b, '-'), u[8:10])
	return hex.AppendEncode(append(b, '-'), u[10:16])
}

// String returns the text form in lower case.
func (u UUID) String() string { return string(u.Append(make([]byte, 0, UUIDLen))) }

// MarshalText implements [encoding.TextMarshaler].
func (u UUID) MarshalText() ([]byte, error) { return u.Append(nil), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] and is as strict as [ParseUUID].
func (u *UUID) UnmarshalText(b []byte) error {
	v, err := ParseUUID(string(b))
	if err != nil {
		return err
	}
	*u = v
	return nil
}

// Workflow is a `wid` claim, which may be absent. The zero value is the absent
// one; values are compared with ==, and absent equals absent only (profile 5.5).
type Workflow struct {
	ID      UUID
	Present bool
}

// NewWorkflow returns a new random workflow identifier (profile 3.4).
func NewWorkflow() Workflow { return Workflow{ID: NewUUID(), Present: true} }

// String returns the UUID in lower case, or "" if absent.
func (w Workflow) String() string {
	if !w.Present {
		return ""
	}
	return w.ID.String()
}

// MarshalText implements [encoding.TextMarshaler]; absent is the empty text.
func (w Workflow) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// Digest is a token digest: SHA-256 over the JWS Signing Input of a signed token,
// over the base64url text of an unsigned one, never over a signature (profile 2.8).
type Digest [32]byte

// Short returns the first 16 bytes, which bind an edge (profile 3.5, `pred_dig`).
func (d Digest) Short() Short { return Short(d[:16]) }

// String returns the canonical base64url text, without padding.
func (d Digest) String() string { return base64.RawURLEncoding.EncodeToString(d[:]) }

// Short is the first half of a [Digest].
type Short [16]byte

// ShortLen is the length in bytes of the base64url text of a [Short].
const ShortLen = 22

// Append appends the base64url text, without padding, to b.
func (s Short) Append(b []byte) []byte { return base64.RawURLEncoding.AppendEncode(b, s[:]) }

// String returns the canonical base64url text, without padding.
func (s Short) String() string { return string(s.Append(nil)) }
