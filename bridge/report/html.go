package report

import (
	_ "embed" // the page
	"html/template"
	"io"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"grouped": grouped, "seconds": seconds, "quoted": quoted, "join": strings.Join, "outcomes": func() (all []string) {
		for _, o := range telemetry.Outcomes {
			all = append(all, string(o))
		}
		return all
	},
	"heading": func(r *Report) string { return headings[r.Verdict] },
	"kinds": func() (all []string) {
		for k := range drift.Kinds {
			all = append(all, k.String())
		}
		return all
	},
}).Parse(pageText))

// WriteHTML writes the report as one page that needs nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	p := r.printable()
	return page.Execute(w, struct {
		*Report
		Span   string
		Others string
	}{p, p.span(), p.others()})
}
