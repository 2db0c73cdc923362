// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"bytes"
	"crypto/subtle"
)

// Secret holds what pseudonyms are made with. Nothing that prints or encodes values finds
// it, whatever it is told and wherever the secret stands: it is not in memory that can be
// reached from here by reflection. The zero value is empty.
type Secret struct {
	// reveal is a function because fmt would print bytes, in an unexported field of a
	// caller's struct and under a wrong verb even if they had methods that hide them.
	reveal func() []byte
}

// NewSecret copies the bytes, which should come from a generator for keys and be used for
// nothing else. A policy takes no secret below 32 of them.
func NewSecret(b []byte) Secret {
	own := bytes.Clone(b)
	return Secret{func() []byte { return own }}
}

// String returns "withheld".
func (Secret) String() string { return "withheld" }

// Equal tells whether two secrets are the same, in a time that depends on their length
// alone.
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare(s.bytes(), o.bytes()) == 1
}

func (s Secret) bytes() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}
