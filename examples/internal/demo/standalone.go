// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"go.opentelemetry.io/otel/trace"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/otelbridge"
)

// Standalone is what a service is told that runs by itself, for clients of any make.
type Standalone struct {
	// Trust names a file with a JSON object from issuer URI to JWK Set, Audience is who the
	// service is, and Level its minimum level, L1 or L2.
	Trust, Audience, Level string
	// Name is what its spans are of, unless OTEL_SERVICE_NAME says otherwise.
	Name string
}

// Alone is a service that runs by itself.
type Alone struct {
	*core.Service
	Key     Key
	Tracers trace.TracerProvider
	Bridge  *otelbridge.Bridge
}

// Service returns the service, with a new key. What it refuses is logged.
func (s Standalone) Service(ctx context.Context, to *Telemetry, log *slog.Logger) (*Alone, error) {
	level, err := core.ParseLevel(s.Level)
	if err != nil || level == core.L3 {
		return nil, errors.New("-min-level is L1 or L2")
	}
	switch {
	case s.Trust == "":
		return nil, errors.New("-serve needs -trust FILE")
	case s.Audience == "":
		return nil, errors.New("-serve needs -audience URI")
	}
	data, err := os.ReadFile(s.Trust)
	if err != nil {
		return nil, err
	}
	sets, err := ReadTrust(data, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Trust, err)
	}
	binder, err := core.NewStaticBinder(sets)
	if err != nil {
		return nil, err
	}
	tracers, err := to.Tracers(ctx, cmp.Or(os.Getenv("OTEL_SERVICE_NAME"), s.Name))
	if err != nil {
		return nil, err
	}
	bridge, err := otelbridge.New(s.Audience, to.Policy, otelbridge.WithTracerProvider(tracers))
	if err != nil {
		return nil, err
	}
	refused := func(ctx context.Context, err *core.Error, _ core.VerifyInfo) {
		log.WarnContext(ctx, "refused", "code", err.Code.String(), "cause", err)
	}
	verifier, err := core.NewVerifier(binder, core.Policy{
		MinLevel:   level,
		Audience:   s.Audience,
		Missing:    core.RejectMissing,
		Replay:     core.ReplayOncePerInstance,
		Body:       core.BodyMatch,
		Algorithms: []core.Algorithm{core.ES256, core.ES384, core.EdDSA, core.Ed25519},
	}, core.WithObserver(core.Observer{Rejected: refused, BodyDiffered: refused, Unrecorded: refused}),
		core.WithObserver(bridge.Observer()))
	if err != nil {
		return nil, err
	}
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	signer, err := core.NewSigner(key, key.ID)
	if err != nil {
		return nil, err
	}
	issuer, err := core.NewIssuer(s.Audience, signer)
	if err != nil {
		return nil, err
	}
	var told []core.Audience
	for iss := range sets {
		told = append(told, core.Audience{ID: iss, Tokens: true, Hashes: true})
	}
	audiences, err := core.NewAudiences(told...)
	if err != nil {
		return nil, err
	}
	service, err := core.NewService(verifier, issuer, audiences)
	if err != nil {
		return nil, err
	}
	return &Alone{Service: service, Key: key, Tracers: tracers, Bridge: bridge}, nil
}

// ReadTrust reads a JSON object from issuer URI to JWK Set. An entry that cannot be used
// is reported and left out; that none can be used is an error.
func ReadTrust(data []byte, log *slog.Logger) (map[string]*core.KeySet, error) {
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(data, &entries); err != nil {
		return nil, err
	}
	if _, ok := entries["keys"]; ok && len(entries) == 1 {
		return nil, errors.New("this is a JWK Set; a trust file is an object from issuer URI to JWK Set")
	}
	sets := map[string]*core.KeySet{}
	for iss, entry := range entries {
		set, err := core.ParseKeySet(entry)
		if err == nil {
			_, err = core.NewStaticBinder(map[string]*core.KeySet{iss: set})
		}
		if err != nil {
			log.Warn("issuer left out", "issuer", iss, "cause", err)
			continue
		}
		for _, why := range set.Skipped() {
			log.Warn("key left out", "issuer", iss, "cause", why)
		}
		sets[iss] = set
	}
	if len(sets) == 0 {
		return nil, errors.New("no entry of the trust file can be used")
	}
	return sets, nil
}

// Seen is a verified token, as a service shows it to who sent it.
type Seen struct {
	TaskID   string   `json:"jti"`
	Issuer   string   `json:"iss,omitempty"`
	Level    string   `json:"level"`
	Action   string   `json:"exec_act"`
	Pred     []string `json:"pred"`
	Workflow string   `json:"wid,omitempty"`
	Role     string   `json:"role"`
}

// SeenOf returns what came with a message: heads, then context, then notices.
func SeenOf(r *core.Received) []Seen {
	all := []Seen{}
	for _, v := range slices.Concat(r.Heads(), r.Context(), r.Notices()) {
		c := v.Claims()
		s := Seen{
			TaskID: c.TaskID.String(), Issuer: v.ClaimedIssuer(), Level: v.Level().String(), Action: c.Action,
			Pred: []string{}, Workflow: c.Workflow.String(), Role: v.Role().String(),
		}
		for _, p := range c.Pred {
			s.Pred = append(s.Pred, p.String())
		}
		all = append(all, s)
	}
	return all
}
