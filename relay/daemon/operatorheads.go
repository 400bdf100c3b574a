package daemon

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"waxwing/core/ids"
	"waxwing/franking"
	"waxwing/relay/admin"
	"waxwing/relay/reports"
)

// logs are the kinds of logs by name.
var logs = map[string]franking.LogKind{"openings": franking.LogOpenings, "trail": franking.LogTrail}

// heads lists what the own logs have grown to, and those of the peers as they last
// showed them.
func (o *operator) heads(ctx context.Context, p *admin.HeadsParams) (*admin.HeadsResult, error) {
	desk := o.n.Reports()
	if p.Forget != "" {
		d, err := ids.ParseDomain(p.Forget)
		if err == nil {
			err = desk.ForgetHead(ctx, o.n.Now(), d)
		}
		if errors.Is(err, reports.ErrUnknown) || err != nil && d.IsZero() {
			return nil, &admin.Error{Code: admin.CodeNotFound, What: "no log of " + p.Forget + " is kept", Next: "list them with \"waxwing admin reports heads\""}
		}
		if err != nil {
			return nil, reportRefusal(err)
		}
	}
	out := &admin.HeadsResult{Heads: []admin.Head{}}
	own := desk.OwnHeads()
	for name, kind := range logs {
		h := own[kind]
		out.Heads = append(out.Heads, admin.Head{
			Provider: o.n.Domain().String(), Log: name, Segment: h.Segment, Size: h.Size, Root: hex.EncodeToString(h.Root[:]), State: "own",
		})
	}
	slices.SortFunc(out.Heads, func(a, b admin.Head) int { return cmp.Compare(a.Log, b.Log) })
	kept, err := desk.KeptHeads(ctx)
	if err != nil {
		return nil, reportRefusal(err)
	}
	for i := range kept {
		k := &kept[i]
		h := admin.Head{
			Provider: k.Provider.String(), Log: "openings", Segment: k.Segment, Size: k.Size, Root: hex.EncodeToString(k.Root[:]),
			Signed: time.UnixMilli(int64(k.At)).UTC(), Seen: k.Seen, State: "kept",
		}
		if k.Forked {
			h.State = "forked"
		}
		out.Heads = append(out.Heads, h)
	}
	return out, nil
}

// logFile makes the file of a log's head.
func (o *operator) logFile(ctx context.Context, p *admin.LogParams) (*admin.ExportResult, error) {
	kind, ok := logs[p.Log]
	if !ok {
		return nil, &admin.Error{Code: admin.CodeUsage, What: "there is no log \"" + p.Log + "\"", Next: "choose openings or trail"}
	}
	file, err := o.n.Reports().LogFile(ctx, kind, p.Since, o.n.Now())
	if errors.Is(err, franking.ErrForked) || errors.Is(err, franking.ErrLogFile) {
		return nil, &admin.Error{Code: admin.CodeUsage, What: "the older file is not of this log, or was changed", Next: "give one that \"waxwing admin reports log\" wrote"}
	}
	if err != nil {
		return nil, reportRefusal(err)
	}
	return &admin.ExportResult{File: file}, nil
}
