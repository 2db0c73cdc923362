// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/go-ect/ect/core/dag"
	"github.com/go-ect/ect/core/id"
	"github.com/go-ect/ect/internal/jsonscan"
)

// maxSignature is the length in bytes of the longest signature of an algorithm here.
const maxSignature = 96

// token is an envelope opened: well formed, and not yet believed.
type token struct {
	signed bool
	header header
	// headerKnown tells that the header is one of those remembered.
	headerKnown bool
	claims      claimSet
	// text is the token as presented, without the white space around it; normal is that of
	// a signed token that was verified, as it is stored and forwarded (profile 2.8).
	text, normal string
	// payload is the JSON of the claims.
	payload string
	// input is the JWS Signing Input of a signed token.
	input  string
	digest Digest
	// edges are the predecessors as the graph knows them. They share no memory with the
	// rest, which a task store that keeps them does not.
	edges  []dag.Edge
	sig    [maxSignature]byte
	sigLen int // maxSignature+1 if longer than any
}

// header is a JOSE header read.
type header struct {
	algorithm Algorithm
	keyID     string
	// fault says what is wrong with a well-formed header.
	fault     Code
	faultText string
}

// split takes field values apart into tokens and appends them: one a value, or several with
// commas, empty elements ignored (profile 9.1, RFC 9110, 5.6.1).
func split(texts, values []string, limits Limits) ([]string, *Error) {
	total := 0
	for _, v := range values {
		total += len(v)
	}
	if total > limits.TotalBytes {
		return texts, refuse(CodeTooLarge, "more bytes than a message may carry")
	}
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			part = strings.Trim(part, " \t")
			if part == "" {
				continue
			}
			if len(texts) == limits.Tokens {
				return texts, refuse(CodeTooLarge, "more tokens than a message may carry")
			}
			if len(part) < len(v) {
				part = strings.Clone(part) // not to keep the whole field for it
			}
			texts = append(texts, part)
		}
	}
	return texts, nil
}

// open detects the level class of a text and reads its parts, their form checked and
// nothing else (profile 2.5 to 2.7). A text with a dot is never looked at as L1. Headers
// that are known need no second look.
func open(text string, limits Limits, sc *jsonscan.Scanner, known *memory) (*token, *Error) {
	switch {
	case len(text) > limits.TokenBytes:
		return nil, refuse(CodeTooLarge, "a token is longer than allowed")
	case text == "":
		return nil, refuse(CodeMalformed, "an empty token")
	}
	t := &token{text: text}
	payload := text
	if dot := strings.IndexByte(text, '.'); dot >= 0 {
		second := strings.IndexByte(text[dot+1:], '.')
		if second < 0 || strings.IndexByte(text[dot+second+2:], '.') >= 0 {
			return nil, refuse(CodeMalformed, "a JWS has exactly two dots")
		}
		second += dot + 1
		t.signed = true
		t.input = text[:second]
		payload = text[dot+1 : second]
		if err := t.openSignature(text[second+1:]); err != nil {
			return nil, NewError(CodeMalformed, err)
		}
		if err := t.openHeader(text[:dot], sc, known); err != nil {
			return nil, NewError(CodeMalformed, err)
		}
	}
	var err error
	if t.payload, err = decodeText(payload); err == nil {
		err = t.claims.parse(sc, t.payload)
	}
	if err != nil {
		return nil, NewError(CodeMalformed, err)
	}
	if t.signed {
		t.digest = digestOf(t.input)
	} else {
		t.digest = digestOf(t.text)
	}
	t.openEdges()
	return t, nil
}

func (t *token) openEdges() {
	c := &t.claims
	if len(c.Pred) == 0 {
		return
	}
	t.edges = make([]dag.Edge, len(c.Pred))
	for i, p := range c.Pred {
		t.edges[i].Task = p
		if i < len(c.Ext.PredDigests) {
			t.edges[i].Bound, t.edges[i].Digest = true, c.Ext.PredDigests[i]
		}
	}
}

// node is what the graph knows of a token, whose `iss` is that of its key if it is signed.
func (t *token) node() dag.Node {
	n := dag.Node{
		Key:      dag.Key{Signed: t.signed, Issuer: t.claims.issuer, Task: t.claims.TaskID},
		Digest:   t.digest,
		Workflow: t.claims.Workflow,
		IssuedAt: t.claims.IssuedAt.Unix(),
		Level:    uint8(L1),
		Preds:    t.edges,
	}
	if t.signed {
		n.Level = uint8(L2)
	}
	return n
}

// digestOf hashes a text, on the stack where it is as long as most tokens are.
func digestOf(s string) Digest {
	var small [2048]byte
	if len(s) <= len(small) {
		return sha256.Sum256(small[:copy(small[:], s)])
	}
	return sha256.Sum256([]byte(s))
}

// decodeText decodes a part of a token, on the stack where it is as small as most are. The
// decoder skips CR and LF; what it gives then is shorter than what the text would hold. (Its
// own DecodedLen cannot tell: a text of 4n+1 letters is none, and has the length of 4n.)
func decodeText(s string) (string, error) {
	var small [1536]byte
	buf := small[:]
	if n := strict.DecodedLen(len(s)); n > len(buf) {
		buf = make([]byte, n)
	}
	n, err := strict.Decode(buf, []byte(s))
	if err != nil || strict.EncodedLen(n) != len(s) {
		return "", formError{} // the decoder's own error names a place in the token
	}
	return string(buf[:n]), nil
}

func (t *token) openHeader(s string, sc *jsonscan.Scanner, known *memory) error {
	if known != nil {
		if h, ok := known.headers.get(s); ok {
			t.header, t.headerKnown = h, true
			return nil
		}
	}
	text, err := decodeText(s)
	if err != nil {
		return err
	}
	return t.header.parse(sc, text)
}

func (t *token) openSignature(s string) error {
	if strict.DecodedLen(len(s)) > maxSignature {
		t.sigLen = maxSignature + 1
		_, err := decodeText(s)
		return err
	}
	n, err := strict.Decode(t.sig[:], []byte(s))
	if err != nil || strict.EncodedLen(n) != len(s) {
		return formError{}
	}
	t.sigLen = n
	return nil
}

// parse reads a JOSE header. An error means its form is broken; a well-formed header
// that breaks a rule of profile 2.2 or 2.3 is noted.
func (h *header) parse(sc *jsonscan.Scanner, text string) error {
	sc.Reset(text)
	if sc.Kind() != jsonscan.Object {
		return jsonscan.ErrSyntax
	}
	var hasType bool
	err := sc.Members(func(name string) (err error) {
		var ok bool
		switch name {
		case "typ":
			hasType = true
			var typ string
			if typ, ok, err = headerText(sc); !ok || !isType(typ) {
				h.bad(CodeType, "typ is not an ECT's")
			}
		case "alg":
			var alg string
			if alg, _, err = headerText(sc); err == nil {
				h.algorithm = parseAlgorithm(alg)
			}
		case "kid":
			if h.keyID, ok, err = headerText(sc); !ok || h.keyID == "" {
				h.bad(CodeHeader, "kid is not a text")
			}
		case "x5c":
			err = h.certificates(sc)
		case "crit", "b64", "jku", "x5u", "jwk", "zip":
			h.bad(CodeHeader, "a forbidden header parameter")
			_, err = sc.Skip()
		default:
			_, err = sc.Skip()
		}
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case !hasType:
		h.bad(CodeType, "typ is missing")
	case h.algorithm == 0:
		h.bad(CodeAlgorithm, "alg is missing or none of ours")
	case h.keyID == "":
		h.bad(CodeHeader, "kid is missing")
	}
	return sc.End()
}

// bad notes the first thing that is wrong with the header.
func (h *header) bad(code Code, why string) {
	if h.fault == 0 {
		h.fault, h.faultText = code, why
	}
}

func headerText(sc *jsonscan.Scanner) (s string, ok bool, err error) {
	if sc.Kind() != jsonscan.String {
		_, err = sc.Skip()
		return "", false, err
	}
	s, err = sc.Text()
	return s, err == nil, err
}

// certificates reads `x5c`, which the X.509 binding looks at (RFC 7515, 4.1.6).
func (h *header) certificates(sc *jsonscan.Scanner) error {
	const why = "x5c is not an array of 1 to 4 certificates"
	if sc.Kind() != jsonscan.Array {
		h.bad(CodeHeader, why)
		_, err := sc.Skip()
		return err
	}
	n := 0
	err := sc.Elements(func() error {
		n++
		text, ok, err := headerText(sc)
		if err != nil {
			return err
		}
		if ok && n <= MaxCertificates {
			ok = isCertificate(text)
		}
		if !ok {
			h.bad(CodeHeader, why)
		}
		return nil
	})
	if n == 0 || n > MaxCertificates {
		h.bad(CodeHeader, why)
	}
	return err
}

// isCertificate tells whether text is a certificate in the base64 of RFC 4648, 4.
func isCertificate(text string) bool {
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return false
	}
	_, err = x509.ParseCertificate(der)
	return err == nil
}

// isType holds a `typ` against the two names of an ECT, in the way of RFC 7515, 4.1.9.
func isType(typ string) bool {
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	return isASCII(typ) && (strings.EqualFold(typ, typ01) || strings.EqualFold(typ, typ00))
}

// isASCII keeps letters such as U+212A, which fold to ASCII ones, out of comparisons.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// The values of `typ` (profile 2.3).
const (
	typ01 = "exec+jwt"
	typ00 = "wimse-exec+jwt"
)

// Unverified is a token whose form is right and whose word is worth nothing yet: for
// binders, logs of one's own and debugging. It is immutable.
type Unverified token

// ParseWithoutVerification reads the form of a token and believes nothing of it. The
// error is an [*Error] with [CodeMalformed] or [CodeTooLarge].
func ParseWithoutVerification(text string) (*Unverified, error) {
	limits, err := Limits{}.withDefaults()
	if err != nil {
		return nil, err
	}
	t, bad := open(strings.Trim(text, " \t"), limits, new(jsonscan.Scanner), nil)
	if bad != nil {
		return nil, bad
	}
	return (*Unverified)(t), nil
}

// Signed tells whether the token has a signature, checked by nobody yet.
func (u *Unverified) Signed() bool { return u.signed }

// ClaimedIssuer returns `iss`, "" if absent.
func (u *Unverified) ClaimedIssuer() string { return u.claims.issuer }

// KeyID returns the `kid` of a signed token.
func (u *Unverified) KeyID() string { return u.header.keyID }

// Algorithm returns the `alg` of a signed token, 0 if it is none of ours.
func (u *Unverified) Algorithm() Algorithm { return u.header.algorithm }

// ClaimsWithoutVerification returns a copy of the claims as far as they could be read.
func (u *Unverified) ClaimsWithoutVerification() Claims { return u.claims.clone() }

// Digest returns the token digest (profile 2.8).
func (u *Unverified) Digest() id.Digest { return u.digest }

// PayloadWithoutVerification returns the JSON of the claims.
func (u *Unverified) PayloadWithoutVerification() json.RawMessage {
	return json.RawMessage(u.payload)
}
