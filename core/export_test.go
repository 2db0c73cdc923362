// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import "crypto"

// The seams that tests need: what has no place in the API, and vectors for it.

// VerifySignature checks a bare JWS signature over a signing input, as a verifier does
// once it knows the key.
func VerifySignature(alg Algorithm, key crypto.PublicKey, input string, sig []byte) bool {
	t := &token{signed: true, input: input, digest: digestOf(input), sigLen: len(sig)}
	t.header.algorithm = alg
	copy(t.sig[:], sig)
	return alg.fits(key) && verifySignature(t, key)
}

// LowS puts the s of an ECDSA signature into the low half, in place.
func LowS(alg Algorithm, sig []byte) bool { return lowS(alg, sig) }

// Split takes field values apart into tokens. The code is 0 if it could.
func Split(values []string, l Limits) ([]string, Code) {
	l, err := l.withDefaults()
	if err != nil {
		return nil, CodeUnavailable
	}
	texts, bad := split(nil, values, l, CodeTooLarge)
	if bad != nil {
		return nil, bad.Code
	}
	return texts, 0
}

// ParseDER takes the ASN.1 form of an ECDSA signature apart into r || s.
func ParseDER(sig, der []byte) bool { return parseDER(sig, der) }
