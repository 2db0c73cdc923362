// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Evidence is what came beside the tokens of a message and says something about who
// sent it. An adapter fills it from what the transport authenticated, never from what
// the message says of itself.
type Evidence struct {
	// Peer is the identity that the transport authenticated, such as the one URI SAN of
	// a verified client certificate; "" if it authenticated nobody.
	Peer string
}

// Binder answers whose key a token was signed with. Implementations are safe for
// concurrent use.
//
// An [*Error] with [CodeKeyUnknown] is a final no. [CodeUnavailable], and any error
// that is no [*Error], says that the question cannot be answered now: the message is
// refused and may be sent again.
type Binder interface {
	Bind(ctx context.Context, u *Unverified, e Evidence) (BoundKey, error)
}

// BoundKey is a public key and the identity it is bound to.
type BoundKey struct {
	// Public is an *ecdsa.PublicKey on P-256 or P-384, or an ed25519.PublicKey.
	Public crypto.PublicKey
	// Algorithm is what the key says it is for, 0 if it says nothing.
	Algorithm Algorithm
	// Issuer is the identity; the token's `iss` must equal it byte for byte.
	Issuer string
	// Domain is the trust domain that bounds the issuer's share of the replay store.
	Domain string
	// Binding tells how the identity was established.
	Binding Binding
}

// Binding names an identity binding profile (profile 6).
type Binding uint8

// The bindings. Unsigned tokens have none.
const (
	BindingNone Binding = iota
	BindingJWKSet
)

// String returns "none" or "jwk_set".
func (b Binding) String() string {
	if b == BindingJWKSet {
		return "jwk_set"
	}
	return "none"
}

// KeySet is a JWK Set (RFC 7517, 5) as far as it can be used: public keys for
// signatures, each with a `kid` of its own. It is immutable.
type KeySet struct {
	keys    map[string]setKey
	skipped []string
}

type setKey struct {
	public    publicKey
	algorithm Algorithm
}

// ParseKeySet reads a JWK Set entry by entry. An entry that cannot be used does not
// spoil the rest: it is skipped, and [KeySet.Skipped] says why. A set with no key left
// is an error.
func ParseKeySet(data []byte) (*KeySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("ect: JWK Set: %w", err)
	}
	s := &KeySet{keys: map[string]setKey{}}
	taken := map[string]bool{}
	for n, entry := range set.Keys {
		if why := s.add(entry, taken); why != "" {
			s.skipped = append(s.skipped, fmt.Sprintf("key %d: %s", n, why))
		}
	}
	switch {
	case len(s.keys) == 0 && len(s.skipped) == 0:
		return nil, errors.New(`ect: JWK Set: it has no member "keys", or none in it`)
	case len(s.keys) == 0:
		return nil, fmt.Errorf("ect: JWK Set: no key in it can be used: %s", strings.Join(s.skipped, "; "))
	}
	return s, nil
}

// add takes one entry over, or says why not.
func (s *KeySet) add(entry json.RawMessage, taken map[string]bool) string {
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(entry, &jwk); err != nil {
		return "not a key that is understood"
	}
	public, ok := jwk.Key.(publicKey)
	switch {
	case !jwk.IsPublic() || !ok:
		return "not a public key"
	case !jwk.Valid():
		return "not a valid key"
	case jwk.KeyID == "":
		return "no kid"
	case jwk.Use != "" && jwk.Use != "sig":
		return "not for signatures"
	case !ES256.fits(public) && !ES384.fits(public) && !EdDSA.fits(public):
		return "none of P-256, P-384 and Ed25519"
	}
	k := setKey{public: public}
	if jwk.Algorithm != "" {
		if k.algorithm = parseAlgorithm(jwk.Algorithm); k.algorithm == 0 || !k.algorithm.fits(public) {
			return "its alg does not fit it"
		}
	}
	if taken[jwk.KeyID] {
		// Two keys of one kid: neither is chosen.
		delete(s.keys, jwk.KeyID)
		return "its kid is taken by another key of the set"
	}
	taken[jwk.KeyID] = true
	s.keys[jwk.KeyID] = k
	return ""
}

// Skipped says which entries cannot be used, and why. No key material is in it.
func (s *KeySet) Skipped() []string { return append([]string(nil), s.skipped...) }

// Len returns how many keys can be used.
func (s *KeySet) Len() int { return len(s.keys) }

// NewStaticBinder returns a binder over one JWK Set per issuer (profile 6.1): `iss`
// selects a set, `kid` one key in it. The sets never change.
func NewStaticBinder(sets map[string]*KeySet) (Binder, error) {
	b := make(staticBinder, len(sets))
	for issuer, set := range sets {
		if !isURI(issuer) {
			return nil, errors.New("ect: NewStaticBinder: an issuer is not a URI")
		}
		if set == nil || set.Len() == 0 {
			return nil, errors.New("ect: NewStaticBinder: an issuer has no key")
		}
		keys := make(map[string]BoundKey, set.Len())
		for kid, k := range set.keys {
			keys[kid] = BoundKey{
				Public: k.public, Algorithm: k.algorithm,
				Issuer: issuer, Domain: TrustDomain(issuer), Binding: BindingJWKSet,
			}
		}
		b[issuer] = keys
	}
	return b, nil
}

type staticBinder map[string]map[string]BoundKey

func (b staticBinder) Bind(_ context.Context, u *Unverified, _ Evidence) (BoundKey, error) {
	keys, ok := b[u.ClaimedIssuer()]
	if !ok {
		return BoundKey{}, refuse(CodeKeyUnknown, "the issuer is not configured")
	}
	key, ok := keys[u.KeyID()]
	if !ok {
		return BoundKey{}, refuse(CodeKeyUnknown, "the issuer has no usable key of this kid")
	}
	return key, nil
}
