package directory

import (
	"sync"

	"waxwing/core/ids"
)

// cache keeps verified accounts, each good for one version of its document
// only. The zero value is ready.
type cache struct {
	mu       sync.Mutex
	accounts map[ids.Address]*Account // guarded by mu
}

func (c *cache) get(address ids.Address, version uint64) *Account {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.accounts[address]; a != nil && a.version == version {
		return a
	}
	return nil
}

func (c *cache) put(address ids.Address, a *Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.accounts == nil {
		c.accounts = make(map[ids.Address]*Account)
	}
	if len(c.accounts) >= cacheAccounts {
		for victim := range c.accounts { // the order is random: nobody chooses it
			delete(c.accounts, victim)
			break
		}
	}
	c.accounts[address] = a
}
