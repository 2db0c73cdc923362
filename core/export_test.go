// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"crypto"
	"slices"
)

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
	texts, bad := split(nil, values, l)
	if bad != nil {
		return nil, bad.Code
	}
	return texts, 0
}

// ParseDER takes the ASN.1 form of an ECDSA signature apart into r || s.
func ParseDER(sig, der []byte) bool { return parseDER(sig, der) }

// Trimmed makes links of which each comes after those that preds says, as they come in
// one message, and returns the task ids, by number, of each generation of the first one
// after it was cut to so many.
func Trimmed(preds [][]int, generations int) (depth int, ids [][]byte) {
	links := make([]*link, len(preds))
	for n := range links {
		links[n] = &link{task: UUID{byte(n)}, digest: Digest{byte(n)}}
	}
	for n, l := range links {
		for _, p := range preds[n] {
			l.preds = append(l.preds, links[p])
		}
	}
	tie(links)
	cut := links[0].trim(generations)
	for level := []*link{cut}; len(level) > 0; {
		var next []*link
		var here []byte
		for _, l := range level {
			here = append(here, l.task[0])
			for _, p := range l.preds {
				if !slices.Contains(next, p) {
					next = append(next, p)
				}
			}
		}
		slices.Sort(here)
		ids, level = append(ids, here), next
	}
	return cut.depth, ids
}

// FrontierDepth returns how many generations a task keeps behind its frontier.
func FrontierDepth(t *Task) (depth int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.main.stand().links {
		for level := []*link{l}; len(level) > 0; depth++ {
			var next []*link
			for _, l := range level {
				next = append(next, l.preds...)
			}
			level = next
		}
	}
	return depth - 1
}
