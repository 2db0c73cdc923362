// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

func hashOf(b []byte) core.Hash { return core.Hash{Sum: sha256.Sum256(b), Present: true} }

type serveConfig struct{ addr, trust, audience, level string }

// serve runs one service until ctx is done.
func serve(ctx context.Context, c serveConfig, stdout, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, nil))
	handler, err := newServeHandler(c, log)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	if _, err := fmt.Fprintf(stdout, "listening on http://%s\n", l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(grace)
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// newServeHandler puts the service together.
func newServeHandler(c serveConfig, log *slog.Logger) (http.Handler, error) {
	level, err := core.ParseLevel(c.level)
	if err != nil || level == core.L3 {
		return nil, errors.New("-min-level is L1 or L2")
	}
	switch {
	case c.trust == "":
		return nil, errors.New("-serve needs -trust FILE")
	case c.audience == "":
		return nil, errors.New("-serve needs -audience URI")
	}
	data, err := os.ReadFile(c.trust)
	if err != nil {
		return nil, err
	}
	sets, err := readTrust(data, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.trust, err)
	}
	key, keyID, err := newKey()
	if err != nil {
		return nil, err
	}
	binder, err := core.NewStaticBinder(sets)
	if err != nil {
		return nil, err
	}
	refused := func(ctx context.Context, err *core.Error) {
		log.WarnContext(ctx, "refused", "code", err.Code.String(), "cause", err)
	}
	verifier, err := core.NewVerifier(binder, core.Policy{
		MinLevel:   level,
		Audience:   c.audience,
		Missing:    core.RejectMissing,
		Replay:     core.ReplayOncePerInstance,
		Body:       core.BodyMatch,
		Algorithms: []core.Algorithm{core.ES256, core.ES384, core.EdDSA, core.Ed25519},
	}, core.WithObserver(core.Observer{Rejected: refused, BodyDiffered: refused, Unrecorded: refused}))
	if err != nil {
		return nil, err
	}
	signer, err := core.NewSigner(key, keyID)
	if err != nil {
		return nil, err
	}
	issuer, err := core.NewIssuer(c.audience, signer)
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
	r := chi.NewRouter()
	r.Get("/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		if err := json.NewEncoder(w).Encode(jwks(key, keyID)); err != nil {
			log.Warn("keys not sent", "cause", err)
		}
	})
	r.Group(func(r chi.Router) {
		r.Use(httpect.Middleware(service))
		r.Post("/tasks/{action}", echo)
	})
	return r, nil
}

// readTrust reads a JSON object from issuer URI to JWK Set. An entry that cannot be used
// is reported and left out.
func readTrust(data []byte, log *slog.Logger) (map[string]*core.KeySet, error) {
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

// seen is a verified token as the echo shows it.
type seen struct {
	TaskID   string   `json:"jti"`
	Issuer   string   `json:"iss,omitempty"`
	Level    string   `json:"level"`
	Action   string   `json:"exec_act"`
	Pred     []string `json:"pred"`
	Workflow string   `json:"wid,omitempty"`
	Role     string   `json:"role"`
}

// echo answers with what was verified. The task's action is that of the path.
func echo(w http.ResponseWriter, r *http.Request) {
	task, ok := core.TaskFromContext(r.Context())
	if !ok {
		http.Error(w, "no task", http.StatusInternalServerError)
		return
	}
	if err := task.SetAction(chi.URLParam(r, "action")); err != nil {
		http.Error(w, "an action is 1 to 256 bytes of text", http.StatusBadRequest)
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	received, ok := task.Received()
	if !ok {
		http.Error(w, "no token", http.StatusInternalServerError)
		return
	}
	tokens := []seen{}
	for _, v := range slices.Concat(received.Heads(), received.Context(), received.Notices()) {
		c := v.Claims()
		s := seen{
			TaskID: c.TaskID.String(), Issuer: v.ClaimedIssuer(), Level: v.Level().String(), Action: c.Action,
			Pred: []string{}, Workflow: c.Workflow.String(), Role: v.Role().String(),
		}
		for _, p := range c.Pred {
			s.Pred = append(s.Pred, p.String())
		}
		tokens = append(tokens, s)
	}
	reply(w, map[string]any{"task": task.ID().String(), "tokens": tokens})
}
