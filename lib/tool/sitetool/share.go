package sitetool

import (
	"os"
	"path/filepath"

	"iwx/lib/cli"
	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/nfs"
	"iwx/lib/tool/upkeep"
)

// checkShare wants the share that the homes lie on to be there: what is written
// below a share that is not mounted would be on this server alone, and hidden
// when it is.
func (m *manager) checkShare(c *cli.Context) error {
	homes := m.Config.Homes()
	if homes == "" {
		return fault.Hint(fault.New(fault.Failed, "no storage is shared, so no home would be the same on all servers"), "set site.home in iwx.toml(5), or storage.enabled")
	}
	share := ""
	for _, path := range m.Config.Storage.Paths() {
		if conf.Within(homes, path) {
			share = path
		}
	}
	if share == "" {
		return fault.Hint(fault.New(fault.Usage, "site.home %s lies on no share", homes), "name a directory below one of storage.share in iwx.toml(5)")
	}
	if info, err := os.Stat(filepath.Join(m.Root, share)); err != nil || !info.IsDir() {
		return fault.Hint(fault.New(fault.Failed, "share %s is not there", share), "iwx-cluster-setup status")
	}
	return m.checkMount(c, share)
}

// checkMount wants a share that is mounted from elsewhere to answer.
func (m *manager) checkMount(c *cli.Context, share string) error {
	if m.Own() {
		return nil
	}
	desired, err := upkeep.Desired(c, m.Server)
	if err != nil {
		return err
	}
	for _, health := range upkeep.Health(c, desired.Document, c.Now) {
		if health.Path == share && health.Word != nfs.Healthy {
			return fault.Hint(fault.New(fault.Failed, "share %s is %s: %s", share, health.Word, health.Error), "iwx-cluster-setup status")
		}
	}
	return nil
}
