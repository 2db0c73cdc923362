// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package otelbridge

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Limits of the keys of a [Policy].
const (
	// MinSecretBytes is the shortest secret.
	MinSecretBytes = 32
	// MaxEpochBytes is the longest name of an epoch.
	MaxEpochBytes = 32
	// MaxPseudonymKeys is the largest number of keys: five years of a key a month.
	MaxPseudonymKeys = 64
)

// PseudonymKey is what the pseudonyms of one epoch are made with. The epoch of a token is
// that of its `iat`: the last key whose From is not after it, or the first key where all
// are.
type PseudonymKey struct {
	// Epoch stands in front of every pseudonym of the key, so that who searches knows which
	// key to use: 1 to 32 of A-Z, a-z, 0-9 and "-". It is never used again for another key.
	Epoch string
	// From is when the epoch begins. Keys ascend strictly; only the first may have none.
	From time.Time
	// Secret is 32 random bytes or more, of this key alone.
	Secret Secret
}

func (k PseudonymKey) equal(o PseudonymKey) bool {
	return k.Epoch == o.Epoch && k.From.Equal(o.From) && k.Secret.Equal(o.Secret)
}

// checkKeys names the field in every error, and never a secret.
func checkKeys(keys []PseudonymKey) error {
	if len(keys) > MaxPseudonymKeys {
		return fmt.Errorf("otelbridge: Policy.Keys holds more than %d", MaxPseudonymKeys)
	}
	for i, k := range keys {
		before := keys[:i]
		var field, why string
		switch {
		case !isEpoch(k.Epoch):
			field, why = "Epoch", fmt.Sprintf("is not 1 to %d of A-Z, a-z, 0-9 and \"-\"", MaxEpochBytes)
		case slices.ContainsFunc(before, func(o PseudonymKey) bool { return o.Epoch == k.Epoch }):
			field, why = "Epoch", "comes twice"
		case i > 0 && !k.From.Round(0).After(keys[i-1].From): // by the wall clock, as `iat` is
			field, why = "From", "is not after that of the key before"
		case len(k.Secret.bytes()) < MinSecretBytes:
			field, why = "Secret", fmt.Sprintf("is shorter than %d bytes", MinSecretBytes)
		case slices.ContainsFunc(before, func(o PseudonymKey) bool { return o.Secret.Equal(k.Secret) }):
			field, why = "Secret", "is that of another key"
		default:
			continue
		}
		return fmt.Errorf("otelbridge: Policy.Keys[%d].%s %s", i, field, why)
	}
	return nil
}

func isEpoch(s string) bool {
	if s == "" || len(s) > MaxEpochBytes {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// A keyring has the epochs in the order of time, and at least one. It is immutable.
type keyring []*epoch

// newKeyring is for keys that were checked. What old has of them is taken over, with what
// it keeps ready.
func newKeyring(keys []PseudonymKey, old keyring) keyring {
	r := make(keyring, len(keys))
	for i, k := range keys {
		if r[i] = old.find(k.Epoch); r[i] == nil {
			r[i] = newEpoch(k)
		}
	}
	return r
}

func (r keyring) find(name string) *epoch {
	for _, e := range r {
		if e.key.Epoch == name {
			return e
		}
	}
	return nil
}

// at returns the epoch of a token that was issued then.
func (r keyring) at(issued time.Time) *epoch {
	for i := len(r) - 1; i > 0; i-- {
		if !r[i].key.From.After(issued) {
			return r[i]
		}
	}
	return r[0]
}

// replaceable tells whether keys that were checked may take the place of r: what is there
// under a name stays what it was, and what is new comes after all that stay. So no token
// gets a name other than it had, unless it had it by a key that is gone, or a new key begins
// in the past.
func (r keyring) replaceable(keys []PseudonymKey) error {
	added := -1
	for i, k := range keys {
		switch e := r.find(k.Epoch); {
		case e == nil:
			added = i
		case !e.key.equal(k):
			return fmt.Errorf("otelbridge: Policy.Keys[%d].Epoch is in use for another key", i)
		case added >= 0:
			return fmt.Errorf("otelbridge: Policy.Keys[%d].From is before that of a key in use", added)
		}
	}
	if len(keys) == 0 {
		return errors.New("otelbridge: Policy.Keys is empty")
	}
	return nil
}
