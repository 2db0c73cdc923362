// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/core/id"
)

const (
	caller  = "https://caller.example"
	service = "https://service.example"
)

// party is a workload with a key, and an issuer in its name.
type party struct {
	key    *ecdsa.PrivateKey
	issuer *core.Issuer
}

func newParty(identity string, signed bool) (*party, error) {
	p := &party{}
	var err error
	if !signed {
		p.issuer, err = core.NewUnsignedIssuer(identity)
		return p, err
	}
	if p.key, err = newKey(); err != nil {
		return nil, err
	}
	signer, err := core.NewSigner(p.key, "key-1")
	if err != nil {
		return nil, err
	}
	p.issuer, err = core.NewIssuer(identity, signer)
	return p, err
}

// mint issues a token as one service sends to the next: in a workflow, after preds, over
// some content.
func (p *party) mint(w core.Workflow, preds []core.Predecessor, content core.Hash) (string, error) {
	i, err := p.issuer.Issue(context.Background(), core.IssueRequest{
		Audience: []string{service}, Action: "dispatch", Workflow: w, Pred: preds,
		OutHash: content,
	})
	if err != nil {
		return "", err
	}
	return i.Text(), nil
}

var body = []byte(`{"amount":1}`)

// scene is a service that knows a caller, and two tasks of each of the caller's workflows.
type scene struct {
	from, to *party
	service  *core.Service
	// content is what the tokens are over: body unless set.
	content  core.Hash
	workflow core.Workflow
	preds    []core.Predecessor
	minted   int
}

func newScene(signed, records bool, policy core.Policy, opts ...core.VerifierOption) (*scene, error) {
	s := &scene{content: core.HashOf(body)}
	var err error
	if s.from, err = newParty(caller, signed); err != nil {
		return nil, err
	}
	if s.to, err = newParty(service, signed); err != nil {
		return nil, err
	}
	binder, err := binderOf(s.from)
	if err != nil {
		return nil, err
	}
	policy.Audience, policy.Missing, policy.Body = service, core.RejectMissing, core.BodyMatch
	if policy.Replay != core.ReplayOff { // or the stores are not added to
		tasks, err := steadyTasks()
		if err != nil {
			return nil, err
		}
		claimed, err := roomyClaims()
		if err != nil {
			return nil, err
		}
		opts = append(opts, core.WithTaskStore(tasks), core.WithReplayStore(claimed))
	}
	v, err := core.NewVerifier(binder, policy, opts...)
	if err != nil {
		return nil, err
	}
	tells, err := core.NewAudiences(core.Audience{ID: caller, Tokens: true, Hashes: true})
	if err != nil {
		return nil, err
	}
	issuer := s.to.issuer
	if !records {
		issuer = nil
	}
	if s.service, err = core.NewService(v, issuer, tells); err != nil {
		return nil, err
	}
	return s, nil
}

// perWorkflow is how many tokens belong to one workflow.
const perWorkflow = 32

// mint issues a token of the caller's after two that the service knows.
func (s *scene) mint() (string, error) {
	if s.minted%perWorkflow == 0 {
		if err := s.begin(); err != nil {
			return "", err
		}
	}
	s.minted++
	return s.from.mint(s.workflow, s.preds, s.content)
}

// begin lets the service know two tokens of a new workflow.
func (s *scene) begin() error {
	s.workflow, s.preds = id.NewWorkflow(), nil
	for range 2 {
		text, err := s.from.mint(s.workflow, nil, s.content)
		if err != nil {
			return err
		}
		r, err := s.service.Verifier().Verify(context.Background(), core.Presented{Values: []string{text}})
		if err != nil {
			return err
		}
		h := r.Heads()[0]
		s.preds = append(s.preds, core.Predecessor{TaskID: h.Claims().TaskID, Digest: h.Digest()})
	}
	return nil
}

// stock is tokens made beforehand, each to be used once.
type stock struct {
	mint   func() (string, error)
	tokens []string
}

func (s *stock) prepare(n int) error {
	s.tokens = s.tokens[:0]
	for range n {
		t, err := s.mint()
		if err != nil {
			return err
		}
		s.tokens = append(s.tokens, t)
	}
	return nil
}

// next returns a slice of one token, for a header.
func (s *stock) next() []string {
	n := len(s.tokens) - 1
	t := s.tokens[n : n+1 : n+1]
	s.tokens = s.tokens[:n]
	return t
}

func (s *scene) stock() *stock { return &stock{mint: s.mint} }

var errCrypto = errors.New("the signature does not verify")

// bareVerify is what nobody can do without: decode the signature, hash, verify.
func bareVerify(key *ecdsa.PublicKey, text string) error {
	dot := strings.LastIndexByte(text, '.')
	var sig [64]byte
	if n, err := base64.RawURLEncoding.Decode(sig[:], []byte(text[dot+1:])); err != nil || n != len(sig) {
		return errCrypto
	}
	sum := sha256.Sum256([]byte(text[:dot]))
	if !ecdsa.VerifyASN1(key, sum[:], der(sig[:])) {
		return errCrypto
	}
	return nil
}

// der is a signature in the form that crypto/ecdsa takes.
func der(sig []byte) []byte {
	b := append(make([]byte, 0, 72), 0x30, 0)
	for _, n := range [][]byte{sig[:32], sig[32:]} {
		n = bytes.TrimLeft(n, "\x00")
		b = append(b, 2, byte(len(n)))
		if n[0] >= 0x80 {
			b[len(b)-1]++
			b = append(b, 0)
		}
		b = append(b, n...)
	}
	b[1] = byte(len(b) - 2)
	return b
}

// signed is as long as what is signed of a task token.
var signed = strings.Repeat("x", 700)

// bareSign signs a text and spells it as a token.
func bareSign(key *ecdsa.PrivateKey, text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}
