// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-ect/ect/core/id"
)

// Issuer writes tokens in one identity's name. It is immutable and safe for
// concurrent use if its signer is.
type Issuer struct {
	identity string
	signer   Signer // nil at L1
	headers  [2]string
	cfg      issuerConfig
}

type issuerConfig struct {
	lifetime time.Duration
	now      func() time.Time
}

// IssuerOption sets what has a good default.
type IssuerOption interface {
	applyIssuer(issuerConfig) issuerConfig
}

type issuerOption func(issuerConfig) issuerConfig

func (f issuerOption) applyIssuer(c issuerConfig) issuerConfig { return f(c) }

// WithLifetime sets how long tokens live, from one second to 24 hours; 10 minutes
// unless set (profile 3).
func WithLifetime(d time.Duration) IssuerOption {
	return issuerOption(func(c issuerConfig) issuerConfig { c.lifetime = d; return c })
}

// NewIssuer returns an issuer of signed tokens. identity becomes `iss`: a SPIFFE or
// WIMSE identifier where there are such, an https: or urn:uuid: URI elsewhere.
func NewIssuer(identity string, signer Signer, opts ...IssuerOption) (*Issuer, error) {
	if signer == nil {
		return nil, errors.New("ect: NewIssuer: the signer is nil; NewUnsignedIssuer issues at L1")
	}
	if a := signer.Algorithm(); a != ES256 && a != ES384 && a != EdDSA {
		return nil, errors.New("ect: NewIssuer: the signer's algorithm is none of ES256, ES384 and EdDSA")
	}
	if signer.KeyID() == "" {
		return nil, errors.New("ect: NewIssuer: the signer has no key id")
	}
	return newIssuer(identity, signer, opts)
}

// NewUnsignedIssuer returns an issuer at L1: anyone on the channel can write the same
// in its name.
func NewUnsignedIssuer(identity string, opts ...IssuerOption) (*Issuer, error) {
	return newIssuer(identity, nil, opts)
}

func newIssuer(identity string, signer Signer, opts []IssuerOption) (*Issuer, error) {
	if !isURI(identity) {
		return nil, errors.New("ect: NewIssuer: the identity is not a URI")
	}
	i := &Issuer{identity: identity, signer: signer, cfg: issuerConfig{lifetime: DefaultLifetime, now: time.Now}}
	for _, o := range opts {
		i.cfg = o.applyIssuer(i.cfg)
	}
	if i.cfg.lifetime < time.Second || i.cfg.lifetime > DefaultMaxLifetime {
		return nil, errors.New("ect: NewIssuer: the lifetime is not between a second and 24 hours")
	}
	if signer == nil {
		return i, nil
	}
	for rev, typ := range []string{Revision01: typ01, Revision00: typ00} {
		b := []byte(`{"alg":"` + signer.Algorithm().String() + `","typ":"` + typ + `","kid":`)
		b, err := appendJSONString(b, signer.KeyID())
		if err != nil {
			return nil, err
		}
		i.headers[rev] = base64.RawURLEncoding.EncodeToString(append(b, '}')) + "."
	}
	return i, nil
}

// Identity returns the `iss` of what it issues.
func (i *Issuer) Identity() string { return i.identity }

// Level returns L1 or L2.
func (i *Issuer) Level() Level {
	if i.signer == nil {
		return L1
	}
	return L2
}

// IssueRequest is what a new token shall say. What is left out gets a good value.
type IssueRequest struct {
	// TaskID is a new random one if zero. An id is never used twice.
	TaskID UUID
	// Workflow as given: absent stays absent.
	Workflow Workflow
	// Audience is required, except at L1.
	Audience []string
	// Action is required.
	Action string
	// Pred names the predecessors with their digests; at most 64, without repeats.
	Pred []Predecessor
	// InpHash and OutHash as given.
	InpHash, OutHash Hash
	// Ext as given; PredDigests must be nil, as Pred decides them.
	Ext Ext
	// Members are further members of `ect_ext`, with reverse-domain names.
	Members map[string]json.RawMessage
	// Revision decides the names on the wire.
	Revision Revision
}

// Predecessor names a token that a new one comes after.
type Predecessor struct {
	TaskID UUID
	Digest Digest
}

// Kind says what a token is in the task that it was issued in.
type Kind uint8

// The kinds. The zero value is a token that no task issued.
const (
	// KindTask is the task token, which ends a task.
	KindTask Kind = iota + 1
	// KindDispatch goes with an outgoing call.
	KindDispatch
	// KindStep is a local step, see [Task.Step].
	KindStep
	// KindJoin takes the place of a frontier that grew too wide.
	KindJoin
)

// String returns "task", "dispatch", "step", "join", or "none".
func (k Kind) String() string {
	switch k {
	case KindTask:
		return "task"
	case KindDispatch:
		return "dispatch"
	case KindStep:
		return "step"
	case KindJoin:
		return "join"
	}
	return "none"
}

// Issued is a token that this process wrote. It is immutable.
type Issued struct {
	kind   Kind
	issuer string
	level  Level
	claims Claims
	text   string
	digest Digest
}

// Issuer returns the identity that issued it.
func (i *Issued) Issuer() string { return i.issuer }

// Level returns L1 or L2.
func (i *Issued) Level() Level { return i.level }

// Kind returns what it is in its task.
func (i *Issued) Kind() Kind { return i.kind }

// Claims returns a copy of what it says.
func (i *Issued) Claims() Claims { return i.claims.clone() }

// TaskID returns its `jti`.
func (i *Issued) TaskID() UUID { return i.claims.TaskID }

// Workflow returns its `wid`.
func (i *Issued) Workflow() Workflow { return i.claims.Workflow }

// Action returns its `exec_act`.
func (i *Issued) Action() string { return i.claims.Action }

// InpHash returns its `inp_hash`.
func (i *Issued) InpHash() Hash { return i.claims.InpHash }

// OutHash returns its `out_hash`.
func (i *Issued) OutHash() Hash { return i.claims.OutHash }

// Outcome returns how its task ended.
func (i *Issued) Outcome() Outcome { return i.claims.Ext.Outcome }

// Checkpoint returns the policy decision that it records; false if there is none.
func (i *Issued) Checkpoint() (PolicyCheckpoint, bool) {
	if i.claims.Ext.Policy == nil {
		return PolicyCheckpoint{}, false
	}
	return *i.claims.Ext.Policy, true
}

// IssuedAt returns its `iat`.
func (i *Issued) IssuedAt() time.Time { return i.claims.IssuedAt }

// Predecessors yields what its `pred` names, each with the short digest that tells which
// token is meant (profile 3.6).
func (i *Issued) Predecessors() iter.Seq2[UUID, ShortDigest] {
	return func(yield func(UUID, ShortDigest) bool) {
		for n, p := range i.claims.Pred {
			if !yield(p, i.claims.Ext.PredDigests[n]) {
				return
			}
		}
	}
}

// Text returns the token.
func (i *Issued) Text() string { return i.text }

// Digest returns the token digest (profile 2.8).
func (i *Issued) Digest() Digest { return i.digest }

// Issue writes a token and signs it. It registers the token nowhere: a [Service] does,
// so that its verifier knows it as a predecessor. An error is about the request, or
// the signer's own.
func (i *Issuer) Issue(ctx context.Context, r IssueRequest) (*Issued, error) {
	c := Claims{
		Audience: slices.Clone(r.Audience), TaskID: r.TaskID, Workflow: r.Workflow, Action: r.Action,
		InpHash: r.InpHash, OutHash: r.OutHash, Ext: r.Ext,
		IssuedAt: i.cfg.now().Truncate(time.Second),
	}
	c.Expiry = c.IssuedAt.Add(i.cfg.lifetime).Truncate(time.Second)
	if c.TaskID == (UUID{}) {
		c.TaskID = id.NewUUID()
	}
	c.Pred = make([]UUID, len(r.Pred))
	c.Ext.PredDigests = make([]id.Short, len(r.Pred))
	for n, p := range r.Pred {
		c.Pred[n], c.Ext.PredDigests[n] = p.TaskID, p.Digest.Short()
	}
	if err := i.check(&c, r); err != nil {
		return nil, err
	}
	w, _ := writers.Get().(*writer)
	defer writers.Put(w)
	payload, err := i.appendClaims(w.payload[:0], &c, r)
	if err != nil {
		return nil, err
	}
	text, digest, err := i.seal(ctx, payload, r.Revision, w.token[:0])
	if err != nil {
		return nil, err
	}
	return &Issued{issuer: i.identity, level: i.Level(), claims: c, text: text, digest: digest}, nil
}

func (i *Issuer) check(c *Claims, r IssueRequest) error {
	switch {
	case r.Revision > Revision00:
		return errors.New("ect: issue: no such revision")
	case r.Ext.PredDigests != nil:
		return errors.New("ect: issue: Ext.PredDigests is set; Pred decides the digests")
	case !isAction(c.Action):
		return errors.New("ect: issue: the action is not 1 to 256 bytes of permitted text")
	case len(c.Pred) > MaxIssuedPred:
		return fmt.Errorf("ect: issue: more than %d predecessors", MaxIssuedPred)
	case len(c.Audience) == 0 && i.signer != nil:
		return errors.New("ect: issue: the audience is empty")
	}
	if slices.Contains(c.Audience, "") {
		return errors.New("ect: issue: an audience is empty")
	}
	if why := checkPred(c.Pred, c.TaskID); why != "" {
		return errors.New("ect: issue: " + why)
	}
	return nil
}

// appendClaims writes the payload.
func (i *Issuer) appendClaims(b []byte, c *Claims, r IssueRequest) (_ []byte, err error) {
	if b, err = appendJSONString(append(b, `{"iss":`...), i.identity); err != nil {
		return nil, err
	}
	if len(c.Audience) > 0 {
		if b, err = appendAudience(append(b, `,"aud":`...), c.Audience); err != nil {
			return nil, err
		}
	}
	b = strconv.AppendInt(append(b, `,"iat":`...), c.IssuedAt.Unix(), 10)
	b = strconv.AppendInt(append(b, `,"exp":`...), c.Expiry.Unix(), 10)
	b = append(c.TaskID.Append(append(b, `,"jti":"`...)), '"')
	if c.Workflow.Present {
		b = append(c.Workflow.ID.Append(append(b, `,"wid":"`...)), '"')
	}
	if b, err = appendJSONString(append(b, `,"exec_act":`...), c.Action); err != nil {
		return nil, err
	}
	pred, ext := `,"pred":[`, `,"ect_ext":`
	if r.Revision == Revision00 {
		pred, ext = `,"par":[`, `,"ext":`
	}
	b = append(b, pred...)
	for n, p := range c.Pred {
		if n > 0 {
			b = append(b, ',')
		}
		b = append(p.Append(append(b, '"')), '"')
	}
	b = append(b, ']')
	if c.InpHash.Present {
		b = append(base64.RawURLEncoding.AppendEncode(append(b, `,"inp_hash":"`...), c.InpHash.Sum[:]), '"')
	}
	if c.OutHash.Present {
		b = append(base64.RawURLEncoding.AppendEncode(append(b, `,"out_hash":"`...), c.OutHash.Sum[:]), '"')
	}
	if b, err = appendExt(append(b, ext...), &c.Ext, r.Members); err != nil {
		return nil, err
	}
	return append(b, '}'), nil
}

func appendAudience(b []byte, audience []string) (_ []byte, err error) {
	if len(audience) == 1 {
		return appendJSONString(b, audience[0])
	}
	b = append(b, '[')
	for n, a := range audience {
		if n > 0 {
			b = append(b, ',')
		}
		if b, err = appendJSONString(b, a); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

var errTokenTooLong = fmt.Errorf("ect: issue: the token is longer than %d bytes", DefaultTokenBytes)

// writer has room to write most tokens in. It is not on the stack, as that of a goroutine
// which serves one request of many would have to grow for it each time.
type writer struct {
	payload [1024]byte
	token   [2048]byte
}

// writers has the memory of tokens that were written, nothing of which is in one.
var writers = sync.Pool{New: func() any { return new(writer) }}

// seal puts the payload into its envelope, which is written to b.
func (i *Issuer) seal(ctx context.Context, payload []byte, rev Revision, b []byte) (string, Digest, error) {
	if i.signer == nil {
		text := base64.RawURLEncoding.EncodeToString(payload)
		if len(text) > DefaultTokenBytes {
			return "", Digest{}, errTokenTooLong
		}
		return text, digestOf(text), nil
	}
	n := len(i.headers[rev]) + base64.RawURLEncoding.EncodedLen(len(payload))
	alg := i.signer.Algorithm()
	if n+1+base64.RawURLEncoding.EncodedLen(alg.signatureLen()) > DefaultTokenBytes {
		return "", Digest{}, errTokenTooLong // before anything is signed that nobody may see
	}
	b = append(b, i.headers[rev]...)
	b = base64.RawURLEncoding.AppendEncode(b, payload)
	digest := Digest(sha256.Sum256(b[:n]))
	var sig []byte
	var err error
	if key, ok := i.signer.(*keySigner); ok && alg == ES256 { // what it signs is the digest
		sig, err = key.signSHA256(digest)
	} else {
		sig, err = i.signer.Sign(ctx, bytes.Clone(b[:n]))
	}
	if err != nil {
		return "", Digest{}, err
	}
	if len(sig) != alg.signatureLen() {
		return "", Digest{}, errors.New("ect: issue: the signer gave a signature of the wrong length")
	}
	lowS(alg, sig)
	b = base64.RawURLEncoding.AppendEncode(append(b, '.'), sig)
	return string(b), digest, nil
}
